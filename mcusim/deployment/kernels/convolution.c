/* Convolutions: a window of int8 weights over an int8 image. */
#include "simd.h"

#define MCUSIM_HELD 16 /* bytes of a pixel, as planning knows them */
#define MCUSIM_TOGETHER 16 /* outputs of a pixel that are rescaled one after another */

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

/* What a sum begins with: its bias, less what a zero point of the weights takes from every sum of a pixel. */
MCUSIM_INLINE int32_t start_of(const mcusim_convolution *r, int o, int32_t all) {
    return (r->bias ? r->bias[o] : 0) - all;
}

/* A column of int16 by the weights of four outputs. */
static void four_dots(const mcusim_convolution *r, const int16_t *c, const int8_t *q, int length, int o, int32_t all,
                      int32_t *acc) {
    const int8_t *q1 = q + length, *q2 = q1 + length, *q3 = q2 + length;
    int32_t a0 = start_of(r, o, all), a1 = start_of(r, o + 1, all), a2 = start_of(r, o + 2, all);
    int32_t a3 = start_of(r, o + 3, all);
    int k = 0;
#if MCUSIM_SIMD
    for (; k + 4 <= length; k += 4) {
        uint32_t low = mcusim_four(c + k), high = mcusim_four(c + k + 2), w = mcusim_four(q + k);
        int16x2_t even = (int16x2_t)((low & 0xffffu) | high << 16);
        int16x2_t odd = (int16x2_t)(low >> 16 | (high & 0xffff0000u));
        a0 = __smlad(mcusim_odd(w), odd, __smlad(mcusim_even(w), even, a0));
        w = mcusim_four(q1 + k);
        a1 = __smlad(mcusim_odd(w), odd, __smlad(mcusim_even(w), even, a1));
        w = mcusim_four(q2 + k);
        a2 = __smlad(mcusim_odd(w), odd, __smlad(mcusim_even(w), even, a2));
        w = mcusim_four(q3 + k);
        a3 = __smlad(mcusim_odd(w), odd, __smlad(mcusim_even(w), even, a3));
    }
#endif
    for (; k < length; k++) {
        int32_t v = c[k];
        a0 += v * q[k];
        a1 += v * q1[k];
        a2 += v * q2[k];
        a3 += v * q3[k];
    }
    acc[0] = a0, acc[1] = a1, acc[2] = a2, acc[3] = a3;
}

/* k x k: the inputs of one output pixel as a column of int16 in scratch, then four dot products at a time. */
void mcusim_conv(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const mcusim_window *m = &r->window;
    mcusim_writer bits = {r->mask, 0, 0};
    int16_t *column = (int16_t *)r->scratch;
    int8_t *y = r->y;
    int length = m->kh * m->kw * m->ci, co = m->co;
    int32_t acc[MCUSIM_TOGETHER];
    (void)state;
    for (int i = 0; i < m->oh; i++)
        for (int j = 0; j < m->ow; j++) {
            int16_t *to = column;
            for (int u = 0; u < m->kh; u++)
                for (int v = 0; v < m->kw; v++) {
                    int row = i * m->sh + u * m->dh - m->top, col = j * m->sw + v * m->dw - m->left;
                    int in = row >= 0 && row < m->h && col >= 0 && col < m->w;
                    const int8_t *x = r->x + (row * m->w + col) * m->ci;
                    int32_t zero = r->x_zero;
                    for (int k = 0; k < m->ci; k++) *to++ = (int16_t)(in ? x[k] - zero : 0);
                }
            const int8_t *q = r->weight;
            int32_t all = 0; /* what a zero point of the weights takes from every sum */
            if (r->weight_zero)
                for (int k = 0; k < length; k++) all += r->weight_zero * column[k];
            for (int o = 0; o < co;) {
                int some = co - o < MCUSIM_TOGETHER ? co - o : MCUSIM_TOGETHER, e = 0;
                for (; e + 4 <= some; e += 4) four_dots(r, column, q + e * length, length, o + e, all, acc + e);
                for (; e < some; e++) {
                    acc[e] = start_of(r, o + e, all);
                    for (int k = 0; k < length; k++) acc[e] += column[k] * q[e * length + k];
                }
                if (r->columns)
                    for (e = 0; e < some; e++) acc[e] += overlay(r, column, o + e);
                mcusim_some_bits(&bits, mcusim_outputs(&r->output, acc, some, o, 1, y, 1), (uint32_t)some);
                y += some, o += some, q += some * length;
            }
        }
    mcusim_bits_end(&bits);
}

/* The sums of four outputs over one pixel of ci inputs. */
MCUSIM_SIMD_APART void four_sums(const mcusim_convolution *r, const int8_t *x, const int8_t *q, int ci, int o,
                                 int32_t all, int32_t *acc) {
    const int8_t *q2 = q + 2 * ci, *end = x + ci;
    int32_t a0 = start_of(r, o, all), a1 = start_of(r, o + 1, all), a2 = start_of(r, o + 2, all);
    int32_t a3 = start_of(r, o + 3, all), zero = r->x_zero;
#if MCUSIM_SIMD
    int16x2_t less = mcusim_twice(-zero);
    for (const int8_t *fours = x + (ci & ~3); x != fours; x += 4, q += 4, q2 += 4) {
        uint32_t v = mcusim_four(x), w = mcusim_four(q);
        int16x2_t even = mcusim_even_plus(less, v), odd = mcusim_odd_plus(less, v);
        a0 = __smlad(mcusim_odd(w), odd, __smlad(mcusim_even(w), even, a0));
        w = mcusim_four(q + ci);
        a1 = __smlad(mcusim_odd(w), odd, __smlad(mcusim_even(w), even, a1));
        w = mcusim_four(q2);
        a2 = __smlad(mcusim_odd(w), odd, __smlad(mcusim_even(w), even, a2));
        w = mcusim_four(q2 + ci);
        a3 = __smlad(mcusim_odd(w), odd, __smlad(mcusim_even(w), even, a3));
    }
#endif
    const int8_t *q1 = q + ci, *q3 = q2 + ci;
    while (x != end) {
        int32_t v = *x++ - zero;
        a0 += v * *q++;
        a1 += v * *q1++;
        a2 += v * *q2++;
        a3 += v * *q3++;
    }
    acc[0] = a0, acc[1] = a1, acc[2] = a2, acc[3] = a3;
}

/* What the learning channels in SRAM add to the sum of one pixel over the weights in flash. */
static int32_t laid_over(const mcusim_convolution *r, const int8_t *x, const int8_t *q, int o) {
    int32_t acc = 0;
    for (int s = 0; s < r->count; s++) {
        int channel = r->channels[s];
        acc += (x[channel] - r->x_zero) * (r->columns[s * r->window.co + o] - q[channel]);
    }
    return acc;
}

/* 1 x 1: a product of matrices. What lies in the padding adds nothing. A small pixel is held apart: the output may
 * then grow over the input up to the next pixel; over larger ones a plan lets it grow up to this one. */
void mcusim_pointwise(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const mcusim_window *m = &r->window;
    mcusim_writer bits = {r->mask, 0, 0};
    int8_t *y = r->y;
    int ci = m->ci, co = m->co;
    int32_t zx = r->x_zero, acc[MCUSIM_TOGETHER];
    int8_t held[MCUSIM_HELD];
    (void)state;
    for (int i = 0; i < m->oh; i++)
        for (int j = 0; j < m->ow; j++) {
            int row = i * m->sh - m->top, col = j * m->sw - m->left;
            int in = row >= 0 && row < m->h && col >= 0 && col < m->w;
            const int8_t *x = r->x + (in ? (row * m->w + col) * ci : 0), *q = r->weight;
            int32_t all = 0; /* what a zero point of the weights takes from every sum */
            if (ci <= MCUSIM_HELD) {
                for (int k = 0; k < ci; k++) held[k] = x[k];
                x = held;
            }
            if (in && r->weight_zero)
                for (int k = 0; k < ci; k++) all += r->weight_zero * (x[k] - zx);
            for (int o = 0; o < co;) {
                int some = co - o < MCUSIM_TOGETHER ? co - o : MCUSIM_TOGETHER, e = 0;
                for (; e + 4 <= some; e += 4) four_sums(r, x, q + e * ci, in ? ci : 0, o + e, all, acc + e);
                for (; e < some; e++) {
                    acc[e] = start_of(r, o + e, all);
                    for (int k = 0; in && k < ci; k++) acc[e] += (x[k] - zx) * q[e * ci + k];
                }
                if (in && r->count)
                    for (e = 0; e < some; e++) acc[e] += laid_over(r, x, q + e * ci, o + e);
                mcusim_some_bits(&bits, mcusim_outputs(&r->output, acc, some, o, 1, y, 1), (uint32_t)some);
                y += some, o += some, q += some * ci;
            }
        }
    mcusim_bits_end(&bits);
}
