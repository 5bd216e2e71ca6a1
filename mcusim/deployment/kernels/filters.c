/* Convolutions in groups of channels, and transposed ones. Integers: any order will do. */
#include "arithmetic.h"

#define TOGETHER 16 /* outputs of a pixel that are rescaled one after another */

static int32_t filter_dot(const mcusim_convolution *r, const int8_t *x, const int8_t *q, int length) {
    int32_t acc = 0, zx = r->x_zero, zw = r->weight_zero;
    for (int k = 0; k < length; k++) acc += (x[k] - zx) * (q[k] - zw);
    return acc;
}

static int32_t column_dot(const mcusim_convolution *r, const int16_t *column, const int8_t *q, int length) {
    int32_t acc = 0, zw = r->weight_zero;
    for (int k = 0; k < length; k++) acc += column[k] * (q[k] - zw);
    return acc;
}

/* What the learning channels in SRAM add to the sum of output o over the weights of its group in flash. */
static int32_t group_overlay(const mcusim_convolution *r, const int16_t *column, const int8_t *x, int in, int o) {
    int depth = r->window.ci / r->groups, each = r->window.co / r->groups, taps = r->window.kh * r->window.kw;
    int32_t acc = 0;
    for (int s = 0; s < r->count; s++) {
        int channel = r->channels[s] % depth;
        if (r->channels[s] / depth != o / each) continue;
        for (int t = 0; t < taps; t++) {
            int32_t there = r->weight[(o * taps + t) * depth + channel];
            int32_t met = taps > 1 ? column[t * depth + channel] : in ? x[channel] - r->x_zero : 0;
            acc += met * (r->columns[(s * taps + t) * each + o % each] - there);
        }
    }
    return acc;
}

/* The same of one input of a transposed convolution through a tap, for every output. */
static void spread_overlay(const mcusim_convolution *r, const int8_t *x, int tap, int32_t *to) {
    int ci = r->window.ci, co = r->window.co, taps = r->window.kh * r->window.kw;
    for (int s = 0; s < r->count; s++) {
        int channel = r->channels[s];
        for (int o = 0; o < co; o++) {
            int32_t there = r->weight[(o * taps + tap) * ci + channel];
            to[o] += (x[channel] - r->x_zero) * (r->columns[(s * taps + tap) * co + o] - there);
        }
    }
}

/* The inputs of one group that an output pixel meets, as a column of int16. */
static void gather_group(const mcusim_convolution *r, int i, int j, int first, int depth) {
    const mcusim_window *m = &r->window;
    int16_t *to = (int16_t *)r->scratch;
    int32_t zero = r->x_zero;
    for (int u = 0; u < m->kh; u++)
        for (int v = 0; v < m->kw; v++) {
            int row = i * m->sh + u * m->dh - m->top, col = j * m->sw + v * m->dw - m->left;
            int in = row >= 0 && row < m->h && col >= 0 && col < m->w;
            const int8_t *x = r->x + (row * m->w + col) * m->ci + first;
            for (int k = 0; k < depth; k++) *to++ = (int16_t)(in ? x[k] - zero : 0);
        }
}

/* Rescale the sums of a pixel that begin with output o, some at a time. */
static void give_outputs(const mcusim_convolution *r, mcusim_writer *bits, const int32_t *acc, int count, int o, int8_t *y) {
    for (int e = 0; e < count; e += TOGETHER) {
        int some = count - e < TOGETHER ? count - e : TOGETHER;
        mcusim_some_bits(bits, mcusim_outputs(&r->output, acc + e, some, o + e, 1, y + e, 1), (uint32_t)some);
    }
}

void mcusim_grouped(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const mcusim_window *m = &r->window;
    mcusim_writer bits = {r->mask, 0, 0};
    int8_t *y = r->y;
    int depth = m->ci / r->groups, each = m->co / r->groups, taps = m->kh * m->kw, length = taps * depth;
    int32_t acc[TOGETHER];
    (void)state;
    for (int i = 0; i < m->oh; i++)
        for (int j = 0; j < m->ow; j++)
            for (int g = 0; g < r->groups; g++) {
                int row = i * m->sh - m->top, col = j * m->sw - m->left;
                int in = row >= 0 && row < m->h && col >= 0 && col < m->w;
                const int8_t *x = r->x + (row * m->w + col) * m->ci + g * depth; /* of a single tap */
                if (taps > 1) gather_group(r, i, j, g * depth, depth);
                for (int n = 0; n < each; n += TOGETHER) {
                    int some = each - n < TOGETHER ? each - n : TOGETHER, o = g * each + n;
                    for (int e = 0; e < some; e++) {
                        const int8_t *q = r->weight + (o + e) * length;
                        acc[e] = r->bias ? r->bias[o + e] : 0;
                        if (taps > 1)
                            acc[e] += column_dot(r, (const int16_t *)r->scratch, q, length);
                        else if (in)
                            acc[e] += filter_dot(r, x, q, depth);
                        if (r->columns) acc[e] += group_overlay(r, (const int16_t *)r->scratch, x, in, o + e);
                    }
                    give_outputs(r, &bits, acc, some, o, y);
                    y += some;
                }
            }
    mcusim_bits_end(&bits);
}

/* Every input is spread over the outputs that its window meets; their sums are in scratch until all are there. */
void mcusim_transposed(const void *record, mcusim_state *state) {
    const mcusim_convolution *r = (const mcusim_convolution *)record;
    const mcusim_window *m = &r->window;
    mcusim_writer bits = {r->mask, 0, 0};
    int32_t *acc = (int32_t *)r->scratch;
    int ci = m->ci, co = m->co, taps = m->kh * m->kw, pixels = m->oh * m->ow;
    const int8_t *x = r->x;
    (void)state;
    for (int p = 0; p < pixels; p++)
        for (int o = 0; o < co; o++) acc[p * co + o] = r->bias ? r->bias[o] : 0;
    for (int i = 0; i < m->h; i++)
        for (int j = 0; j < m->w; j++, x += ci)
            for (int u = 0; u < m->kh; u++)
                for (int v = 0; v < m->kw; v++) {
                    int row = i * m->sh + u * m->dh - m->top, col = j * m->sw + v * m->dw - m->left;
                    if (row < 0 || row >= m->oh || col < 0 || col >= m->ow) continue;
                    int32_t *to = acc + (row * m->ow + col) * co;
                    const int8_t *q = r->weight + (u * m->kw + v) * ci;
                    for (int o = 0; o < co; o++, q += taps * ci) to[o] += filter_dot(r, x, q, ci);
                    if (r->columns) spread_overlay(r, x, u * m->kw + v, to);
                }
    for (int p = 0; p < pixels; p++) give_outputs(r, &bits, acc + p * co, co, 0, r->y + p * co);
    mcusim_bits_end(&bits);
}
