/* Fully connected layers. Where weights that learn live in flash, the learning inputs lie in SRAM, laid over them. */
#include "arithmetic.h"

static int32_t dense_sum(const mcusim_dense *r, const mcusim_overlay *over, const int8_t *x, int o) {
    const int8_t *q = (const int8_t *)r->weight + o * r->inputs;
    int32_t acc = r->bias ? ((const int32_t *)r->bias)[o] : 0;
    for (int k = 0; k < r->inputs; k++) acc += (x[k] - r->x_zero) * (q[k] - r->weight_zero);
    for (uint32_t s = 0; over && s < mcusim_learning(over->channels, over->count); s++) {
        int k = over->channels[s];
        acc += (x[k] - r->x_zero) * (((const int8_t *)over->columns)[(int)s * r->outputs + o] - q[k]);
    }
    return acc;
}

static void dense_int8(const mcusim_dense *r, const mcusim_overlay *over) {
    mcusim_writer bits = {r->mask, 0, 0};
    const int8_t *x = (const int8_t *)r->x;
    int8_t *y = (int8_t *)r->y;
    for (int row = 0; row < r->rows; row++, x += r->inputs)
        for (int o = 0; o < r->outputs; o++) {
            int32_t acc = dense_sum(r, over, x, o);
            mcusim_some_bits(&bits, mcusim_outputs(&r->output, &acc, 1, o, 1, y++, 1), 1);
        }
    mcusim_bits_end(&bits);
}

/* By a float64 for each output, rounded but once: the factors are their bits. */
static void dense_once(const mcusim_dense *r, const mcusim_overlay *over) {
    const uint64_t *factor = (const uint64_t *)(const void *)r->output.factor;
    const int32_t low = r->output.low, high = r->output.high;
    mcusim_writer bits = {r->mask, 0, 0};
    const int8_t *x = (const int8_t *)r->x;
    int8_t *y = (int8_t *)r->y;
    for (int row = 0; row < r->rows; row++, x += r->inputs)
        for (int o = 0; o < r->outputs; o++) {
            int64_t v = mcusim_once(dense_sum(r, over, x, o), factor[o]) + r->output.zero;
            mcusim_bit(&bits, (uint32_t)(v >= low) & (uint32_t)(v <= high));
            *y++ = (int8_t)(v < low ? low : v > high ? high : v);
        }
    mcusim_bits_end(&bits);
}

/* The accumulators themselves, e.g. the logits of an int8 classifier; MCUSIM_WIDE ones stop at the ends of int32. */
static void dense_int32(const mcusim_dense *r, const mcusim_overlay *over) {
    const int32_t *bias = r->output.rounding == MCUSIM_WIDE ? (const int32_t *)r->bias : NULL;
    const int8_t *x = (const int8_t *)r->x;
    int32_t *y = (int32_t *)r->y;
    for (int row = 0; row < r->rows; row++, x += r->inputs)
        for (int o = 0; o < r->outputs; o++) {
            int32_t acc = dense_sum(r, over, x, o), own = bias ? bias[o] : 0;
            int64_t v = (int64_t)own + (int32_t)((uint32_t)acc - (uint32_t)own);
            *y++ = v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
        }
}

/* 16 interleaved partial sums, added pairwise, then the bias. Learning inputs ascend. */
static void dense_row(const mcusim_dense *r, const mcusim_overlay *over, const float *x, float *y) {
    const float *q = (const float *)r->weight, *bias = (const float *)r->bias;
    for (int o = 0; o < r->outputs; o++, q += r->inputs) {
        float part[16];
        int s = 0;
        for (int l = 0; l < 16; l++) part[l] = 0.0f;
        for (int k = 0; k < r->inputs; k++) {
            int learns = over && s < over->count && over->channels[s] == k;
            part[k & 15] += x[k] * (learns ? ((const float *)over->columns)[s++ * r->outputs + o] : q[k]);
        }
        for (int half = 8; half; half >>= 1)
            for (int l = 0; l < half; l++) part[l] += part[l + half];
        float v = bias ? part[0] + bias[o] : part[0];
        v = v < r->low ? r->low : v;
        y[o] = v > r->high ? r->high : v;
    }
}

static void dense_float(const mcusim_dense *r, const mcusim_overlay *over) {
    for (int row = 0; row < r->rows; row++)
        dense_row(r, over, (const float *)r->x + row * r->inputs, (float *)r->y + row * r->outputs);
}

void mcusim_dense_int8(const void *record, mcusim_state *state) {
    (void)state;
    dense_int8((const mcusim_dense *)record, NULL);
}

void mcusim_dense_int32(const void *record, mcusim_state *state) {
    (void)state;
    dense_int32((const mcusim_dense *)record, NULL);
}

void mcusim_dense_float(const void *record, mcusim_state *state) {
    (void)state;
    dense_float((const mcusim_dense *)record, NULL);
}

void mcusim_overlaid_int8(const void *record, mcusim_state *state) {
    const mcusim_overlaid_dense *r = (const mcusim_overlaid_dense *)record;
    (void)state;
    dense_int8(&r->dense, &r->overlay);
}

void mcusim_overlaid_int32(const void *record, mcusim_state *state) {
    const mcusim_overlaid_dense *r = (const mcusim_overlaid_dense *)record;
    (void)state;
    dense_int32(&r->dense, &r->overlay);
}

void mcusim_overlaid_float(const void *record, mcusim_state *state) {
    const mcusim_overlaid_dense *r = (const mcusim_overlaid_dense *)record;
    (void)state;
    dense_float(&r->dense, &r->overlay);
}

void mcusim_dense_once(const void *record, mcusim_state *state) {
    (void)state;
    dense_once((const mcusim_dense *)record, NULL);
}

void mcusim_overlaid_once(const void *record, mcusim_state *state) {
    const mcusim_overlaid_dense *r = (const mcusim_overlaid_dense *)record;
    (void)state;
    dense_once(&r->dense, &r->overlay);
}
