/* Gradients of biases and weights that are observed, or whose steps are divided by the root of a mean square. */
#include "mix.h"
#define ADAPTED 1
#include "grad_parameters.h"

/* The mean starts as the first square that is not 0. */
void mcusim_adapt(const mcusim_learner *l, const mcusim_moment *moment, const mcusim_state *state, uint64_t key,
                  uint32_t at, uint32_t element, uint32_t output, uint32_t summed, float gradient) {
    if (!moment->square || (l->total && l->every)) {
        mcusim_learn(l, state, key, at, element, output, summed, gradient);
        return;
    }
    float scaled = l->factor ? gradient * l->factor[output] : gradient * 1.0f, value = scaled;
    if (l->velocity) {
        value = l->momentum * l->velocity[at] + value;
        l->velocity[at] = value;
    }
    float power = gradient * scaled, before = moment->square[at];
    float mean = before == 0.0f ? power : moment->decay * before + moment->rest * power;
    moment->square[at] = mean;
    value = value / (mcusim_root(mean) + 1e-8f);
    uint32_t word = (uint32_t)(mix(key + GOLDEN * ((uint64_t)element + 1)) >> 32);
    l->rule(l, at, mcusim_rate(l, state) * value, word);
}

void mcusim_adapted_bias_f32(const void *record, mcusim_state *state) {
    const mcusim_adapted_bias *r = (const mcusim_adapted_bias *)record;
    adapted_bias(&r->bias, &r->moment, state, adapted_f32);
}

void mcusim_adapted_bias_i16(const void *record, mcusim_state *state) {
    const mcusim_adapted_bias *r = (const mcusim_adapted_bias *)record;
    adapted_bias(&r->bias, &r->moment, state, adapted_i16);
}

void mcusim_adapted_bias_i8(const void *record, mcusim_state *state) {
    const mcusim_adapted_bias *r = (const mcusim_adapted_bias *)record;
    adapted_bias(&r->bias, &r->moment, state, adapted_i8);
}

void mcusim_adapted_weight_f32(const void *record, mcusim_state *state) {
    const mcusim_adapted_weight *r = (const mcusim_adapted_weight *)record;
    adapted_weight(&r->weight, &r->moment, r->observed, r->error, state, adapted_f32);
}

void mcusim_adapted_weight_i16(const void *record, mcusim_state *state) {
    const mcusim_adapted_weight *r = (const mcusim_adapted_weight *)record;
    adapted_weight(&r->weight, &r->moment, r->observed, r->error, state, adapted_i16);
}

void mcusim_adapted_weight_i8(const void *record, mcusim_state *state) {
    const mcusim_adapted_weight *r = (const mcusim_adapted_weight *)record;
    adapted_weight(&r->weight, &r->moment, r->observed, r->error, state, adapted_i8);
}

void mcusim_adapted_apply(const void *record, mcusim_state *state) {
    const mcusim_adapted_update *r = (const mcusim_adapted_update *)record;
    adapted_apply(&r->update, &r->moment, state);
}
