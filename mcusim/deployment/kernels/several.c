/* Several inputs, several outputs that learn, and what is kept from one input to the next. */
#include "arithmetic.h"

static void bring(void *to, const void *from, uint32_t bytes) {
    if (!from || from == to) return;
    for (uint32_t i = 0; i < bytes; i++) ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
}

static void give(const mcusim_network *n, const void *const *inputs) {
    if (!n->inputs) bring(n->input, inputs[0], n->input_bytes);
    for (uint32_t i = 0; i < n->inputs_count; i++) bring(n->inputs[i].data, inputs[i], n->inputs[i].bytes);
}

mcusim_answer mcusim_infer_several(const mcusim_network *n, const void *const *inputs) {
    give(n, inputs);
    return mcusim_infer(n, n->input);
}

float mcusim_train_several(const mcusim_network *n, const void *const *inputs, const uint32_t *labels,
                           const void *const *targets) {
    give(n, inputs);
    if (!n->goals) {
        const void *target = targets && targets[0] ? targets[0] : n->target;
        n->state->label.number = labels ? labels[0] : 0;
        return mcusim_train_target(n, n->input, target);
    }
    n->state->label.each = labels;
    for (uint32_t i = 0; targets && i < n->goals_count; i++)
        bring(n->goals[i].target, targets[i], n->goals[i].target_bytes);
    return mcusim_train_target(n, n->input, n->target);
}

void mcusim_calibrate_several(const mcusim_network *n, const void *const *inputs, const uint32_t *labels,
                              const void *const *targets) {
    n->state->updating = 0;
    for (uint32_t i = 0; i <= n->error_scales; i++) {
        mcusim_train_several(n, inputs, labels, targets);
        if (!n->state->rescaled) break;
    }
    n->state->updating = 1;
    n->state->saturated = 0;
}

static float value_of(const mcusim_goal *g, uint32_t i) {
    return mcusim_meant(g->logits, g->type, g->scale, g->zero, i);
}

mcusim_answer mcusim_answer_of(const mcusim_network *n, uint32_t goal) {
    const mcusim_goal *g = &n->goals[goal];
    mcusim_answer answer = {0, 0.0f};
    float total = 0.0f;
    for (uint32_t i = 1; i < g->count; i++)
        if (value_of(g, i) > value_of(g, answer.category)) answer.category = i;
    for (uint32_t i = 0; i < g->count; i++)
        total += mcusim_exponential(value_of(g, i) - value_of(g, answer.category));
    answer.score = 1.0f / total;
    return answer;
}

void mcusim_begin(const mcusim_network *n) {
    for (uint32_t i = 0; i < n->states_count; i++) bring(n->states[i].to, n->states[i].from, n->states[i].bytes);
}

/* One of several losses: the sum grows by it, by weight, and so does its gradient, unless it is a quantised output's,
 * whose chain has the weight in it. */
void mcusim_one_of_losses(const void *record, mcusim_state *state) {
    const mcusim_weighted_loss *r = (const mcusim_weighted_loss *)record;
    const uint32_t *labels = state->label.each;
    float sum = r->goal ? state->loss : 0.0f;
    state->label.number = labels ? labels[r->goal] : 0;
    r->run(&r->loss, state);
    if (r->loss.g && r->loss.logits_type != MCUSIM_INT8 && r->weight != 1.0f)
        for (uint32_t i = 0; i < r->loss.count; i++) r->loss.g[i] *= r->weight;
    state->loss = sum + state->loss * r->weight;
    state->label.each = labels;
}
