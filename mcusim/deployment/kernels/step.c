/* Runs the ops of a network one after another: inference, and steps of learning. */
#include "arithmetic.h"

static void run(const mcusim_network *n, uint32_t first, uint32_t end) {
    for (uint32_t i = first; i < end; i++) {
        n->ops[i].run(n->ops[i].record, n->state);
#ifdef MCUSIM_AFTER_OP
        mcusim_after_op(n, i);
#endif
    }
}

static void copy(void *to, const void *from, uint32_t bytes) {
    uint8_t *t = (uint8_t *)to;
    const uint8_t *f = (const uint8_t *)from;
    if (t == f) return;
    for (uint32_t i = 0; i < bytes; i++) t[i] = f ? f[i] : 0;
}

void mcusim_init(const mcusim_network *n) {
    for (uint32_t i = 0; i < n->starts_count; i++) copy(n->starts[i].to, n->starts[i].from, n->starts[i].bytes);
    n->state->iteration = 0;
    n->state->loss = 0.0f;
    n->state->saturated = 0;
    n->state->updating = 1;
    n->state->replay = MCUSIM_LEAVE;
    n->state->unkept = 0;
    n->state->rates = n->rates;
    if (n->resident) {
        n->resident->now->copy = n->resident->first;
        n->resident->now->failed = 0;
    }
    mcusim_begin_stage(n, 0);
}

void mcusim_write_to(const mcusim_network *n, const mcusim_flash *flash, const uint8_t *mapped) {
    if (!n->resident) return;
    n->resident->now->flash = flash;
    n->resident->now->mapped = mapped;
}

static float output_of(const mcusim_network *n, uint32_t i) {
    return mcusim_meant(n->logits, n->logits_type, n->logits_scale, n->logits_zero, i);
}

mcusim_answer mcusim_infer(const mcusim_network *n, const void *input) {
    mcusim_answer answer = {0, 0.0f};
    float total = 0.0f;
    copy(n->input, input, n->input_bytes);
    run(n, 0, n->probe_op);
    run(n, n->probe_end, n->loss_op);
    for (uint32_t i = 1; i < n->logits_count; i++)
        if (output_of(n, i) > output_of(n, answer.category)) answer.category = i;
    for (uint32_t i = 0; i < n->logits_count; i++)
        total += mcusim_exponential(output_of(n, i) - output_of(n, answer.category));
    answer.score = 1.0f / total;
    return answer;
}

/* One step from an op on; the very first op begins a stage, where one begins. */
float mcusim_learn_from(const mcusim_network *n, uint32_t op) {
    uint32_t stage = n->stage_steps ? (uint32_t)n->state->iteration / n->stage_steps : n->state->stage;
    if (stage != n->state->stage) (void)mcusim_stage(n, stage);
    if (op) run(n, 0, 1);
    run(n, op, n->ops_count);
    n->state->replay = MCUSIM_LEAVE;
    n->state->iteration += n->state->updating;
    return n->state->loss;
}

static float learn(const mcusim_network *n, const void *input) {
    copy(n->input, input, n->input_bytes);
    n->state->replay = n->state->updating ? MCUSIM_KEEP : MCUSIM_LEAVE;
    return mcusim_learn_from(n, 0);
}

float mcusim_train(const mcusim_network *n, const void *input, uint32_t label) {
    n->state->label.number = label;
    return learn(n, input);
}

float mcusim_train_target(const mcusim_network *n, const void *input, const void *target) {
    copy(n->target, target, n->target_bytes);
    return learn(n, input);
}

void mcusim_calibrate(const mcusim_network *n, const void *input, uint32_t label) {
    n->state->updating = 0;
    n->state->label.number = label;
    for (uint32_t i = 0; i <= n->error_scales; i++) {
        learn(n, input);
        if (!n->state->rescaled) break;
    }
    n->state->updating = 1;
    n->state->saturated = 0;
}

void mcusim_set_rates(const mcusim_network *n, const float *rates) { n->state->rates = rates; }
