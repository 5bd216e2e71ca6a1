/* Gradients of biases and weights that are observed, or whose steps are divided by the root of a mean square. */
#define ADAPTED 1
#include "grad_parameters.h"

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
