/* Gradients of biases and weights, and what they do to them: descent as it is. */
#define ADAPTED 0
#include "grad_parameters.h"

void mcusim_grad_bias_f32(const void *record, mcusim_state *state) {
    bias((const mcusim_grad_bias *)record, state, f32);
}

void mcusim_grad_bias_i16(const void *record, mcusim_state *state) {
    bias((const mcusim_grad_bias *)record, state, i16);
}

void mcusim_grad_bias_i8(const void *record, mcusim_state *state) {
    bias((const mcusim_grad_bias *)record, state, i8);
}

void mcusim_grad_weight_f32(const void *record, mcusim_state *state) {
    weight((const mcusim_grad_weight *)record, state, f32);
}

void mcusim_grad_weight_i16(const void *record, mcusim_state *state) {
    weight((const mcusim_grad_weight *)record, state, i16);
}

void mcusim_grad_weight_i8(const void *record, mcusim_state *state) {
    weight((const mcusim_grad_weight *)record, state, i8);
}

void mcusim_apply(const void *record, mcusim_state *state) { apply((const mcusim_update *)record, state); }
