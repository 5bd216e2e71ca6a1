/* Ops that make one output from one element, or from one of each of two inputs. */
#include "arithmetic.h"

typedef int32_t pair(const mcusim_binary *r, int32_t a, int32_t b);

static void each(const mcusim_binary *r, pair *value_of) {
    mcusim_writer bits = {r->mask, 0, 0};
    int8_t *y = r->y;
    for (uint32_t i = 0; i < r->dims[0]; i++)
        for (uint32_t j = 0; j < r->dims[1]; j++)
            for (uint32_t k = 0; k < r->dims[2]; k++) {
                const int8_t *a = r->a + i * r->a_stride[0] + j * r->a_stride[1] + k * r->a_stride[2];
                const int8_t *b = r->b + i * r->b_stride[0] + j * r->b_stride[1] + k * r->b_stride[2];
                for (uint32_t l = 0; l < r->dims[3]; l++, a += r->a_stride[3], b += r->b_stride[3]) {
                    int32_t v = value_of(r, *a - r->a_zero, *b - r->b_zero);
                    *y++ = mcusim_clamped(&r->output, v);
                    mcusim_bit(&bits, mcusim_inside(&r->output, v));
                }
            }
    mcusim_bits_end(&bits);
}

/* TFLite works in units of 2^-20 of twice the larger input scale. */
static int32_t sum(const mcusim_binary *r, int32_t a, int32_t b) {
    if (r->output.rounding == MCUSIM_FIXED) {
        int32_t p = mcusim_multiply(a * (1 << 20), r->multiplier[0], r->shift[0]);
        int32_t q = mcusim_multiply(b * (1 << 20), r->multiplier[1], r->shift[1]);
        return mcusim_multiply(p + r->sign * q, r->multiplier[2], r->shift[2]) + r->output.zero;
    }
    float p = (float)a * r->a_scale, q = (float)b * r->b_scale;
    float quotient = (r->sign > 0 ? p + q : p - q) / r->y_scale;
    if (r->output.rounding == MCUSIM_TRUNCATED) return mcusim_half_away(quotient + (float)r->output.zero);
    return mcusim_nearest(quotient) + r->output.zero;
}

static int32_t product(const mcusim_binary *r, int32_t a, int32_t b) {
    if (r->output.rounding == MCUSIM_FIXED)
        return mcusim_multiply(a * b, r->multiplier[2], r->shift[2]) + r->output.zero;
    float scaled = (float)(a * b) * r->y_scale;
    return (r->output.rounding == MCUSIM_NEAREST ? mcusim_nearest(scaled) : mcusim_trunc(scaled)) + r->output.zero;
}

void mcusim_add(const void *record, mcusim_state *state) {
    (void)state;
    each((const mcusim_binary *)record, sum);
}

void mcusim_mul(const void *record, mcusim_state *state) {
    (void)state;
    each((const mcusim_binary *)record, product);
}

/* What is no number is 0, and what is beyond all numbers is rounded to the end of a clamp. */
static int32_t rounded(const mcusim_binary *r, float real) {
    float scaled = real / r->y_scale;
    if (scaled != scaled) scaled = 0.0f;
    return (r->output.rounding == MCUSIM_NEAREST ? mcusim_nearest(scaled) : mcusim_half_away(scaled)) + r->output.zero;
}

static int32_t least(const mcusim_binary *r, int32_t a, int32_t b) {
    if (r->output.rounding == MCUSIM_FIXED) return (a < b ? a : b) + r->output.zero;
    float p = (float)a * r->a_scale, q = (float)b * r->b_scale;
    return rounded(r, p < q ? p : q);
}

static int32_t most(const mcusim_binary *r, int32_t a, int32_t b) {
    if (r->output.rounding == MCUSIM_FIXED) return (a > b ? a : b) + r->output.zero;
    float p = (float)a * r->a_scale, q = (float)b * r->b_scale;
    return rounded(r, p > q ? p : q);
}

/* In units of 2^-7 of twice the larger input scale. */
static int32_t squared(const mcusim_binary *r, int32_t a, int32_t b) {
    if (r->output.rounding == MCUSIM_FIXED) {
        int32_t p = mcusim_multiply(a * (1 << 7), r->multiplier[0], r->shift[0]);
        int32_t q = mcusim_multiply(b * (1 << 7), r->multiplier[1], r->shift[1]);
        return mcusim_multiply((p - q) * (p - q), r->multiplier[2], r->shift[2]) + r->output.zero;
    }
    float d = (float)a * r->a_scale - (float)b * r->b_scale;
    return rounded(r, d * d);
}

/* Multiplier 0 is for what is not below zero, 1 for its product with the slope. */
static int32_t sloped(const mcusim_binary *r, int32_t a, int32_t b) {
    if (r->output.rounding == MCUSIM_FIXED)
        return (a >= 0 ? mcusim_multiply(a, r->multiplier[0], r->shift[0])
                       : mcusim_multiply(a * b, r->multiplier[1], r->shift[1])) +
               r->output.zero;
    float p = (float)a * r->a_scale;
    return rounded(r, a >= 0 ? p : p * ((float)b * r->b_scale));
}

/* A reciprocal, one product, one rescaling; by zero: the end that the dividend points to. */
static int32_t quotient(const mcusim_binary *r, int32_t a, int32_t b) {
    if (r->output.rounding != MCUSIM_FIXED) return rounded(r, (float)a * r->a_scale / ((float)b * r->b_scale));
    if (!b) return (a > 0 ? 512 : a < 0 ? -512 : 0) + r->output.zero;
    int32_t dividend = b < 0 ? -a : a, size = dividend >= 0 ? dividend : -dividend - 1;
    int bits, room = 31;
    int32_t inverse = mcusim_reciprocal((uint32_t)(b < 0 ? -b : b), 31, &bits);
    for (; size; size >>= 1) room--;
    int32_t v = mcusim_high((int32_t)((uint32_t)dividend << room), inverse);
    int right = bits + room - r->shift[2], left = -right;
    right = right < 0 ? 0 : right > 62 ? 62 : right;
    left = left < 0 ? 0 : left > 31 ? 31 : left;
    v = mcusim_high((int32_t)((uint32_t)v << left), r->multiplier[2]);
    return (right > 31 ? 0 : mcusim_divide(v, right)) + r->output.zero;
}

void mcusim_minimum(const void *record, mcusim_state *state) {
    (void)state;
    each((const mcusim_binary *)record, least);
}

void mcusim_maximum(const void *record, mcusim_state *state) {
    (void)state;
    each((const mcusim_binary *)record, most);
}

void mcusim_squared_difference(const void *record, mcusim_state *state) {
    (void)state;
    each((const mcusim_binary *)record, squared);
}

void mcusim_prelu(const void *record, mcusim_state *state) {
    (void)state;
    each((const mcusim_binary *)record, sloped);
}

void mcusim_div(const void *record, mcusim_state *state) {
    (void)state;
    each((const mcusim_binary *)record, quotient);
}

void mcusim_look_up(const void *record, mcusim_state *state) {
    const mcusim_lookup *r = (const mcusim_lookup *)record;
    mcusim_writer bits = {r->mask, 0, 0};
    (void)state;
    for (uint32_t i = 0; i < r->count; i++) {
        uint32_t index = (uint32_t)(r->x[i] + 128);
        r->y[i] = r->table[index];
        if (r->mask) mcusim_bit(&bits, (uint32_t)(r->inside[index >> 3] >> (index & 7u)) & 1u);
    }
    mcusim_bits_end(&bits);
}

void mcusim_quantize(const void *record, mcusim_state *state) {
    const mcusim_conversion *r = (const mcusim_conversion *)record;
    const float *x = (const float *)r->x;
    int8_t *y = (int8_t *)r->y;
    (void)state;
    for (uint32_t i = 0; i < r->count; i++) {
        float scaled = x[i] / r->scale;
        int32_t v = r->output.rounding == MCUSIM_NEAREST ? mcusim_nearest(scaled) : mcusim_half_away(scaled);
        y[i] = mcusim_clamped(&r->output, v + r->output.zero);
    }
}

void mcusim_dequantize(const void *record, mcusim_state *state) {
    const mcusim_conversion *r = (const mcusim_conversion *)record;
    const int8_t *x = (const int8_t *)r->x;
    float *y = (float *)r->y;
    (void)state;
    for (uint32_t i = 0; i < r->count; i++) y[i] = (float)(x[i] - r->zero) * r->scale;
}
