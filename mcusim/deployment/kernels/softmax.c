/* SOFTMAX over rows: TFLite's integers after gemmlowp, or float32. */
#include "arithmetic.h"

int32_t mcusim_doubled(int32_t x, int bits) { /* x * 2^bits, saturating */
    int64_t wide = (int64_t)x * ((int64_t)1 << bits);
    return wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
}

/* 1 / (1 + x) as a 31-bit fraction, for one in [0, 1): Newton and Raphson's division, three times. */
int32_t mcusim_inverse(int32_t x) {
    int32_t half = (int32_t)(((int64_t)x + INT32_MAX + 1) >> 1);
    int32_t estimate = 1515870810 + mcusim_high(half, -1010580540);
    for (int i = 0; i < 3; i++) {
        int32_t error = (1 << 29) - mcusim_high(half, estimate);
        estimate += mcusim_doubled(mcusim_high(estimate, error), 2);
    }
    return mcusim_doubled(estimate, 1);
}

/* 1 / total for a number with some integer bits. */
int32_t mcusim_reciprocal(uint32_t total, int integer_bits, int *bits) {
    int room = 0;
    while (!(total << room & 0x80000000u)) room++;
    *bits = integer_bits - room;
    return mcusim_inverse((int32_t)((total << room) - 0x80000000u));
}

static void fixed_row(const mcusim_softmax *r, const int8_t *x, int8_t *y) {
    int32_t top = -128;
    uint32_t total = 0;
    int bits;
    for (uint32_t i = 0; i < r->columns; i++) top = x[i] > top ? x[i] : top;
    for (uint32_t i = 0; i < r->columns; i++) {
        int32_t e = r->table[top - x[i]];
        total += e >= 0 ? (uint32_t)mcusim_divide(e, 12) : 0u;
    }
    int32_t scale = mcusim_reciprocal(total, 12, &bits);
    for (uint32_t i = 0; i < r->columns; i++) {
        int32_t e = r->table[top - x[i]];
        int32_t v = e >= 0 ? mcusim_divide(mcusim_high(e, scale), bits + 31 - 8) - 128 : -128;
        y[i] = (int8_t)(v > 127 ? 127 : v < -128 ? -128 : v);
    }
}

static float below_top(const mcusim_softmax *r, const void *row, uint32_t i, uint32_t top) {
    if (r->x_float) return (((const float *)row)[i] - ((const float *)row)[top]) * r->step;
    return (float)(((const int8_t *)row)[i] - ((const int8_t *)row)[top]) * r->step;
}

static void floating(const mcusim_softmax *r, const void *x, void *y) {
    uint32_t top = 0;
    float total = 0.0f;
    mcusim_output out = {NULL, NULL, NULL, r->y_zero, -128, 127, 0};
    for (uint32_t i = 1; i < r->columns; i++) top = below_top(r, x, i, top) > 0.0f ? i : top;
    for (uint32_t i = 0; i < r->columns; i++) {
        r->scratch[i] = mcusim_exponential(below_top(r, x, i, top));
        total += r->scratch[i];
    }
    for (uint32_t i = 0; i < r->columns; i++) {
        float p = r->scratch[i] / total;
        if (r->y_float)
            ((float *)y)[i] = p;
        else
            ((int8_t *)y)[i] = mcusim_clamped(&out, mcusim_nearest(p / r->y_scale) + r->y_zero);
    }
}

void mcusim_softmax_rows(const void *record, mcusim_state *state) {
    const mcusim_softmax *r = (const mcusim_softmax *)record;
    uint32_t x_size = r->x_float ? 4 : 1, y_size = r->y_float ? 4 : 1;
    (void)state;
    for (uint32_t i = 0; i < r->rows; i++) {
        const uint8_t *x = (const uint8_t *)r->x + i * r->columns * x_size;
        uint8_t *y = (uint8_t *)r->y + i * r->columns * y_size;
        if (r->table)
            fixed_row(r, (const int8_t *)x, (int8_t *)y);
        else
            floating(r, x, y);
    }
}
