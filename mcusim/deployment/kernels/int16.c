/* 16-bit activations, without weights: TFLite's integers, zero points 0. x and y of the records are int16. */
#include "arithmetic.h"

/* Clamp, write as so many bytes, and note whether it was inside. */
static inline void wide_put(int64_t v, int32_t low, int32_t high, void *y, uint32_t i, uint32_t bytes, mcusim_writer *bits) {
    int32_t kept = v < low ? low : v > high ? high : (int32_t)v;
    if (bytes == 1)
        ((int8_t *)y)[i] = (int8_t)kept;
    else
        ((int16_t *)y)[i] = (int16_t)kept;
    mcusim_bit(bits, (uint32_t)(kept == v));
}

typedef int32_t pair(const mcusim_binary *r, int32_t a, int32_t b);

static void wide_pairs(const mcusim_binary *r, pair *value_of, uint32_t bytes) {
    mcusim_writer bits = {r->mask, 0, 0};
    uint32_t to = 0;
    for (uint32_t i = 0; i < r->dims[0]; i++)
        for (uint32_t j = 0; j < r->dims[1]; j++)
            for (uint32_t k = 0; k < r->dims[2]; k++) {
                const int16_t *a = (const int16_t *)(const void *)r->a;
                const int16_t *b = (const int16_t *)(const void *)r->b;
                a += i * r->a_stride[0] + j * r->a_stride[1] + k * r->a_stride[2];
                b += i * r->b_stride[0] + j * r->b_stride[1] + k * r->b_stride[2];
                for (uint32_t l = 0; l < r->dims[3]; l++, a += r->a_stride[3], b += r->b_stride[3])
                    wide_put((int64_t)value_of(r, *a, *b) + r->output.zero, r->output.low, r->output.high, r->y, to++, bytes,
                        &bits);
            }
    mcusim_bits_end(&bits);
}

static int32_t wide_of_a(const mcusim_binary *r, int32_t a) { return mcusim_multiply(a, r->multiplier[0], r->shift[0]); }

static int32_t wide_of_b(const mcusim_binary *r, int32_t b) { return mcusim_multiply(b, r->multiplier[1], r->shift[1]); }

static int32_t wide_of_both(const mcusim_binary *r, uint32_t v) {
    return mcusim_multiply((int32_t)v, r->multiplier[2], r->shift[2]);
}

/* In units of 2^-15 of twice the larger input scale. */
static int32_t wide_added(const mcusim_binary *r, int32_t a, int32_t b) {
    uint32_t p = (uint32_t)wide_of_a(r, a * (1 << 15)), q = (uint32_t)wide_of_b(r, b * (1 << 15));
    return wide_of_both(r, r->sign > 0 ? p + q : p - q);
}

static int32_t wide_product(const mcusim_binary *r, int32_t a, int32_t b) { return wide_of_both(r, (uint32_t)(a * b)); }

static int32_t wide_squared(const mcusim_binary *r, int32_t a, int32_t b) {
    uint32_t d = (uint32_t)wide_of_a(r, a) - (uint32_t)wide_of_b(r, b);
    return wide_of_both(r, d * d);
}

static int32_t wide_least(const mcusim_binary *r, int32_t a, int32_t b) {
    (void)r;
    return a < b ? a : b;
}

static int32_t wide_most(const mcusim_binary *r, int32_t a, int32_t b) {
    (void)r;
    return a > b ? a : b;
}

void mcusim_add_int16(const void *record, mcusim_state *state) {
    (void)state;
    wide_pairs((const mcusim_binary *)record, wide_added, 2);
}

void mcusim_mul_int16(const void *record, mcusim_state *state) {
    (void)state;
    wide_pairs((const mcusim_binary *)record, wide_product, 2);
}

void mcusim_mul_to_int8(const void *record, mcusim_state *state) {
    (void)state;
    wide_pairs((const mcusim_binary *)record, wide_product, 1);
}

void mcusim_squared_difference_int16(const void *record, mcusim_state *state) {
    (void)state;
    wide_pairs((const mcusim_binary *)record, wide_squared, 2);
}

void mcusim_minimum_int16(const void *record, mcusim_state *state) {
    (void)state;
    wide_pairs((const mcusim_binary *)record, wide_least, 2);
}

void mcusim_maximum_int16(const void *record, mcusim_state *state) {
    (void)state;
    wide_pairs((const mcusim_binary *)record, wide_most, 2);
}

/* The same number in another scale: one of what is not negative, one of what is. */
void mcusim_rescale_int16(const void *record, mcusim_state *state) {
    const mcusim_element *r = (const mcusim_element *)record;
    mcusim_writer bits = {r->mask, 0, 0};
    (void)state;
    for (uint32_t i = 0; i < r->count; i++) {
        int32_t v = (r->x_bytes == 1 ? ((const int8_t *)r->x)[i] : ((const int16_t *)r->x)[i]) - r->x_zero;
        int below = v < 0;
        if (below && r->magnitude) v = -v;
        if (!r->same) v = mcusim_multiply(v, r->multiplier[below], r->shift[below]);
        wide_put((int64_t)v + r->zero, r->low, r->high, r->y, i, r->y_bytes, &bits);
    }
    mcusim_bits_end(&bits);
}

void mcusim_quantize_int16(const void *record, mcusim_state *state) {
    const mcusim_conversion *r = (const mcusim_conversion *)record;
    const float *x = (const float *)r->x;
    mcusim_writer bits = {NULL, 0, 0};
    (void)state;
    for (uint32_t i = 0; i < r->count; i++)
        wide_put(mcusim_half_away(x[i] / r->scale), r->output.low, r->output.high, r->y, i, 2, &bits);
}

void mcusim_dequantize_int16(const void *record, mcusim_state *state) {
    const mcusim_conversion *r = (const mcusim_conversion *)record;
    const int16_t *x = (const int16_t *)r->x;
    float *y = (float *)r->y;
    (void)state;
    for (uint32_t i = 0; i < r->count; i++) y[i] = (float)x[i] * r->scale;
}

/* The sigmoid of a magnitude whose lowest bits lie between two places of the table, of steps of 1 / 24. */
static int32_t wide_between(const uint16_t *table, int32_t v, int bits, int32_t most_of) {
    int32_t place = v >> bits, rest = v & ((1 << bits) - 1);
    if (place >= 255) return most_of;
    return table[place] * (1 << bits) + rest * (table[place + 1] - table[place]);
}

/* A stored number in units of 2^-12 / 3, those far away at the end of the table. */
static int32_t wide_steps(const mcusim_element *r, int32_t x) {
    int64_t v = (int64_t)x * r->multiplier[0], end = (int64_t)1 << 20;
    if (r->shift[0]) v = (v + ((int64_t)1 << (r->shift[0] - 1))) >> r->shift[0];
    return (int32_t)(v < -end ? -end : v > end ? end : v);
}

void mcusim_logistic_int16(const void *record, mcusim_state *state) {
    const mcusim_element *r = (const mcusim_element *)record;
    mcusim_writer bits = {r->mask, 0, 0};
    (void)state;
    for (uint32_t i = 0; i < r->count; i++) {
        int32_t v = wide_steps(r, ((const int16_t *)r->x)[i]);
        int32_t found = wide_between(r->sigmoids, v < 0 ? -v : v, 9, 0x7fff << 10);
        wide_put((v >= 0 ? found + 512 : (1 << 25) - found + 511) >> 10, r->low, r->high, r->y, i, 2, &bits);
    }
    mcusim_bits_end(&bits);
}

/* Twice the sigmoid of twice the number, less 1. */
void mcusim_tanh_int16(const void *record, mcusim_state *state) {
    const mcusim_element *r = (const mcusim_element *)record;
    mcusim_writer bits = {r->mask, 0, 0};
    (void)state;
    for (uint32_t i = 0; i < r->count; i++) {
        int32_t v = wide_steps(r, ((const int16_t *)r->x)[i]);
        int32_t found = wide_between(r->sigmoids, v < 0 ? -v : v, 8, 0xffff << 8) - (1 << 23);
        wide_put((v >= 0 ? found + 128 : 127 - found) >> 8, r->low, r->high, r->y, i, 2, &bits);
    }
    mcusim_bits_end(&bits);
}

/* What lies between two of 513 samples, of an int16. */
static int32_t wide_looked_up(const int16_t *table, int32_t x) {
    x = x < -32768 ? -32768 : x > 32767 ? 32767 : x;
    const int16_t *at = table + 256 + (x >> 7);
    return at[0] + (((at[1] - at[0]) * (x & 127) + 64) >> 7);
}

void mcusim_softmax_int16(const void *record, mcusim_state *state) {
    const mcusim_wide_softmax *r = (const mcusim_wide_softmax *)record;
    const int16_t *x = (const int16_t *)r->x;
    int16_t *y = (int16_t *)r->y;
    (void)state;
    for (uint32_t i = 0; i < r->rows; i++, x += r->columns, y += r->columns) {
        int32_t top = -32768, total = 0;
        int shift = 0;
        for (uint32_t k = 0; k < r->columns; k++) top = x[k] > top ? x[k] : top;
        for (uint32_t k = 0; k < r->columns; k++) {
            int32_t below = mcusim_multiply(x[k] - top, r->multiplier, r->shift);
            r->scratch[k] = wide_looked_up(r->exponentials, below + 32767);
            total += r->scratch[k];
        }
        while (total >> shift > 1) shift++; /* the highest bit */
        int32_t normal = (int32_t)((((uint32_t)total << (30 - shift)) + (1u << 13)) >> 14);
        int32_t inverse = wide_looked_up(r->reciprocals, normal - 3 * 32768), half = shift ? 1 << (shift - 1) : 1;
        for (uint32_t k = 0; k < r->columns; k++) {
            int32_t v = (r->scratch[k] * inverse + half) >> shift;
            y[k] = (int16_t)(v < 0 ? 0 : v > 32767 ? 32767 : v);
        }
    }
}

static int32_t wide_divided(int32_t total, int32_t count) {
    int32_t size = ((total < 0 ? -total : total) + count / 2) / count;
    return total < 0 ? -size : size;
}

static void wide_pool(const mcusim_pool *r, int average) {
    const mcusim_window *m = &r->window;
    const int16_t *image = (const int16_t *)(const void *)r->x;
    mcusim_writer bits = {r->mask, 0, 0};
    uint32_t to = 0;
    for (int i = 0; i < m->oh; i++)
        for (int j = 0; j < m->ow; j++)
            for (int c = 0; c < m->ci; c++) {
                int32_t total = 0, count = 0, top = -32768;
                for (int u = 0; u < m->kh; u++)
                    for (int v = 0; v < m->kw; v++) {
                        int row = i * m->sh + u * m->dh - m->top, col = j * m->sw + v * m->dw - m->left;
                        if (row < 0 || row >= m->h || col < 0 || col >= m->w) continue;
                        int32_t x = image[(row * m->w + col) * m->ci + c];
                        total += x;
                        count++;
                        top = x > top ? x : top;
                    }
                wide_put(average ? wide_divided(total, count) : top, r->low, r->high, r->y, to++, 2, &bits);
            }
    mcusim_bits_end(&bits);
}

void mcusim_average_pool_int16(const void *record, mcusim_state *state) {
    (void)state;
    wide_pool((const mcusim_pool *)record, 1);
}

void mcusim_max_pool_int16(const void *record, mcusim_state *state) {
    (void)state;
    wide_pool((const mcusim_pool *)record, 0);
}

typedef int32_t reducing(const mcusim_mean *r, const int16_t *x);

static void wide_reduced(const mcusim_mean *r, reducing *value_of) {
    mcusim_writer bits = {NULL, 0, 0};
    for (uint32_t i = 0; i < r->outer; i++)
        for (uint32_t k = 0; k < r->inner; k++) {
            const int16_t *x = (const int16_t *)(const void *)r->x + i * r->reduced * r->inner + k;
            wide_put(value_of(r, x), r->low, r->high, r->y, i * r->inner + k, 2, &bits);
        }
}

/* A sum of 32 bits, which wraps; of a mean the multiplier divides it. */
static int32_t wide_total(const mcusim_mean *r, const int16_t *x) {
    uint32_t total = 0;
    for (uint32_t j = 0; j < r->reduced; j++) {
        int32_t v = x[j * r->inner];
        total += (uint32_t)v;
    }
    return mcusim_multiply((int32_t)total, r->multiplier, r->shift);
}

static int32_t wide_extreme(const mcusim_mean *r, const int16_t *x) {
    int32_t found = *x;
    for (uint32_t j = 1; j < r->reduced; j++) {
        int32_t v = x[j * r->inner];
        found = (r->same ? v < found : v > found) ? v : found;
    }
    return found;
}

void mcusim_total_int16(const void *record, mcusim_state *state) {
    (void)state;
    wide_reduced((const mcusim_mean *)record, wide_total);
}

void mcusim_extreme_int16(const void *record, mcusim_state *state) {
    (void)state;
    wide_reduced((const mcusim_mean *)record, wide_extreme);
}

void mcusim_matrices_int16(const void *record, mcusim_state *state) {
    const mcusim_product *r = (const mcusim_product *)record;
    mcusim_writer bits = {r->mask, 0, 0};
    uint32_t i[4], to = 0;
    (void)state;
    for (i[0] = 0; i[0] < r->dims[0]; i[0]++)
        for (i[1] = 0; i[1] < r->dims[1]; i[1]++)
            for (i[2] = 0; i[2] < r->dims[2]; i[2]++)
                for (i[3] = 0; i[3] < r->dims[3]; i[3]++) {
                    const int16_t *a = (const int16_t *)(const void *)r->a;
                    const int16_t *b = (const int16_t *)(const void *)r->b;
                    int64_t acc = 0;
                    for (int d = 0; d < 4; d++) {
                        a += i[d] * r->a_stride[d];
                        b += i[d] * r->b_stride[d];
                    }
                    for (int k = 0; k < r->inner; k++, a += r->a_inner, b += r->b_inner) acc += *a * *b;
                    wide_put(mcusim_multiply_wide(acc, r->multiplier, r->shift), r->output.low, r->output.high, r->y, to++, 2,
                        &bits);
                }
    mcusim_bits_end(&bits);
}
