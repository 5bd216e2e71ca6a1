/* What learns without a backward pass: moved along a random direction, to its other side, and back; then it steps by
 * what that did to the loss (SPSA, Spall 1992). The direction is drawn where it is needed, and never kept. */
#include "arithmetic.h"

enum { DIRECTION = 11, TOP = 127 }; /* the key of these draws; the largest weight */

static uint64_t keyed(uint64_t state, uint64_t key) { return mcusim_mix((state ^ key) + MCUSIM_GOLDEN); }

static uint64_t drawn_of(const mcusim_perturbation *r, const mcusim_state *state) {
    return keyed(keyed(keyed(0, r->update.learner->seed), DIRECTION), state->iteration);
}

static int32_t sign_of(uint64_t drawn, uint32_t i) { return keyed(drawn, i) >> 63 ? -1 : 1; }

/* By how much the loss is more on the one side than on the other. */
static float loss_between(const mcusim_perturbation *r, const mcusim_state *state) { return *r->above - state->loss; }

static void step_by(const mcusim_perturbation *r, mcusim_state *state, uint32_t at, uint32_t element, uint32_t output,
                    int32_t units, int32_t sign) {
    const mcusim_learner *l = r->update.learner;
    float slope = loss_between(r, state) / (2.0f * (float)units) * (float)sign;
    if (!state->updating) return;
    mcusim_adapt(l, &r->moment, state, mcusim_key(l->seed, state->iteration), at, element, output, at, slope);
}

/* Biases move as far as moves the output by as many units, and are moved back exactly. */
static void biases(const mcusim_perturbation *r, mcusim_state *state, int estimates) {
    int32_t *value = (int32_t *)r->update.learner->value;
    uint64_t drawn = drawn_of(r, state);
    for (uint32_t o = 0; o < r->update.window.co; o++) {
        int32_t sign = sign_of(drawn, o);
        value[o] = (int32_t)((uint32_t)value[o] + (uint32_t)(r->times * r->units[o] * sign));
        if (estimates) step_by(r, state, o, o, o, r->units[o], sign);
    }
}

/* Weights are kept as they are before the first move: one that ends at the limit of the integers cannot be undone. */
static void selected(const mcusim_perturbation *r, mcusim_state *state, int estimates) {
    const mcusim_update *u = &r->update;
    const mcusim_window *m = &u->window;
    int8_t *value = (int8_t *)u->learner->value;
    int depthwise = u->layout == MCUSIM_DEPTHWISE;
    uint32_t taps = (uint32_t)m->kh * m->kw, co = m->co, depth = m->ci / (uint32_t)u->groups;
    uint32_t each = depthwise ? co / m->ci : co / u->groups;
    uint32_t count = u->channels ? mcusim_learning(u->channels, u->count) : u->count, block = 0;
    uint64_t drawn = drawn_of(r, state);
    for (uint32_t s = 0; s < count; s++) {
        uint32_t channel = u->channels ? (uint32_t)u->channels[s] : s;
        uint32_t first = (depthwise ? channel : channel / depth) * each;
        for (uint32_t tap = 0; tap < taps; tap++)
            for (uint32_t n = 0; n < each; n++, block++) {
                uint32_t o = first + n;
                uint32_t element = depthwise ? tap * co + o : (o * taps + tap) * depth + channel % depth;
                uint32_t at = u->compact ? block : element;
                int32_t sign = sign_of(drawn, block), moved;
                if (r->times > 0) r->clean[block] = value[at];
                moved = r->clean[block] + r->times * r->step * sign;
                value[at] = (int8_t)(moved < -TOP ? -TOP : moved > TOP ? TOP : moved);
                if (!estimates) continue;
                value[at] = r->clean[block];
                step_by(r, state, at, element, o, r->step, sign);
            }
    }
}

void mcusim_perturb(const void *record, mcusim_state *state) {
    const mcusim_perturbation *r = (const mcusim_perturbation *)record;
    if (r->update.bias)
        biases(r, state, 0);
    else
        selected(r, state, 0);
}

void mcusim_estimate(const void *record, mcusim_state *state) {
    const mcusim_perturbation *r = (const mcusim_perturbation *)record;
    if (r->update.bias)
        biases(r, state, 1);
    else
        selected(r, state, 1);
}

/* The loss on the one side; the gradient is nobody's. */
void mcusim_probe(const void *record, mcusim_state *state) {
    const mcusim_probed_loss *r = (const mcusim_probed_loss *)record;
    r->run(r->loss, state);
    *r->above = state->loss;
}
