/* Convolutions: a window of int8 weights over an int8 image. */
#include "arithmetic.h"

#define MCUSIM_HELD 16 /* bytes of a pixel, as planning knows them */

static int32_t start_of(const mcusim_convolution *r, int o) { return r->bias ? r->bias[o] : 0; }

static void put(const mcusim_convolution *r, int32_t acc, int o, int8_t *y, mcusim_writer *w) {
    int32_t v = mcusim_rescaled(&r->output, acc, o);
    *y = mcusim_clamped(&r->output, v);
    mcusim_bit(w, mcusim_inside(&r->output, v));
}

/* What the learning channels in SRAM add to the sum over the weights in flash. Integers: any order will do. */
static int32_t overlay(const mcusim_convolution *r, const int16_t *column, int o) {
    int ci = r->window.ci, co = r->window.co, taps = r->window.kh * r->window.kw;
    int32_t acc = 0;
    for (int s = 0; s < r->count; s++) {
        int channel = r->channels[s];
        for (int t = 0; t < taps; t++) {
            int32_t there = r->weight[(o * taps + t) * ci + channel];
            acc += column[t * ci + channel] * (r->columns[(s * taps + t) * co + o] - there);
        }
    }
    return acc;
}

/* k x k: the inputs of one output pixel as a column of int16 in scratch, then one dot product a channel. */
void mcusim_conv(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const mcusim_window *m = &r->window;
    mcusim_writer bits = {r->mask, 0, 0};
    int16_t *column = (int16_t *)r->scratch;
    int8_t *y = r->y;
    int length = m->kh * m->kw * m->ci;
    (void)state;
    for (int i = 0; i < m->oh; i++)
        for (int j = 0; j < m->ow; j++) {
            int16_t *to = column;
            for (int u = 0; u < m->kh; u++)
                for (int v = 0; v < m->kw; v++) {
                    int row = i * m->sh + u * m->dh - m->top, col = j * m->sw + v * m->dw - m->left;
                    int in = row >= 0 && row < m->h && col >= 0 && col < m->w;
                    const int8_t *x = r->x + (in ? (row * m->w + col) * m->ci : 0);
                    for (int k = 0; k < m->ci; k++) *to++ = (int16_t)(in ? x[k] - r->x_zero : 0);
                }
            const int8_t *q = r->weight;
            for (int o = 0; o < m->co; o++) {
                const int16_t *c = column;
                int32_t acc = start_of(r, o);
                for (int k = 0; k < length; k++) acc += *c++ * (*q++ - r->weight_zero);
                if (r->columns) acc += overlay(r, column, o);
                put(r, acc, o, y++, &bits);
            }
        }
    mcusim_bits_end(&bits);
}

/* 1 x 1: a product of matrices. What lies in the padding adds nothing. A small pixel is held apart: the output may
 * then grow over the input up to the next pixel; over larger ones a plan lets it grow up to this one. */
void mcusim_pointwise(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const mcusim_window *m = &r->window;
    mcusim_writer bits = {r->mask, 0, 0};
    int8_t *y = r->y;
    int ci = m->ci, co = m->co;
    int32_t zx = r->x_zero, zw = r->weight_zero;
    int8_t held[MCUSIM_HELD];
    (void)state;
    for (int i = 0; i < m->oh; i++)
        for (int j = 0; j < m->ow; j++) {
            int row = i * m->sh - m->top, col = j * m->sw - m->left;
            int in = row >= 0 && row < m->h && col >= 0 && col < m->w;
            const int8_t *x = r->x + (in ? (row * m->w + col) * ci : 0), *q = r->weight;
            if (ci <= MCUSIM_HELD) {
                for (int k = 0; k < ci; k++) held[k] = x[k];
                x = held;
            }
            for (int o = 0; o < co; o++, q += ci) {
                int32_t acc = start_of(r, o);
                for (int k = 0; in && k < ci; k++) acc += (x[k] - zx) * (q[k] - zw);
                for (int s = 0; in && s < r->count; s++) {
                    int channel = r->channels[s];
                    acc += (x[channel] - zx) * (r->columns[s * co + o] - q[channel]);
                }
                put(r, acc, o, y++, &bits);
            }
        }
    mcusim_bits_end(&bits);
}
