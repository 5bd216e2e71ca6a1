/* LOG_SOFTMAX and L2_NORMALIZATION over rows: TFLite's integers, after gemmlowp, or float32. */
#include "arithmetic.h"

#define INPUT_BITS 5    /* integer bits of differences, and of logarithms */
#define SUM_BITS 12     /* of a sum of exponentials */
#define OUTPUT_BITS 4   /* of LOG_SOFTMAX's output: (-16, 0] */
#define HALF_ROOT_2 1518500250

static int significant(uint32_t v) { /* significant bits */
    int n = 0;
    for (; v; v >>= 1) n++;
    return n;
}

/* The logarithm of 2^k z, of two ways to choose k the larger; log z is a quotient of polynomials in sqrt(sqrt(2)). */
static int32_t logarithm(int32_t value) {
    const int bits = 31 - (INPUT_BITS + 1);
    int room = 31 - significant((uint32_t)value);
    int32_t lower = mcusim_high(value, HALF_ROOT_2);
    int lower_room = 31 - significant((uint32_t)lower);
    int32_t first = mcusim_doubled(mcusim_high(mcusim_doubled(value, room), HALF_ROOT_2), 1);
    int32_t second = mcusim_doubled(value, lower_room), r = first < second ? first : second;
    int32_t high = (SUM_BITS - room - 1) * (1 << bits) + (1 << (bits - 2));
    int32_t low = (SUM_BITS - lower_room) * (1 << bits) - (1 << (bits - 2));
    int32_t p = (int32_t)(((int64_t)r + 1805811301 + 1) >> 1), q = (int32_t)(2 * ((int64_t)r - 1805811301));
    int32_t square = mcusim_high(q, q);
    int32_t numerator = mcusim_high(q, r) + mcusim_high(mcusim_high(q, square), 117049297);
    int32_t inner = 1057819769 + q + mcusim_high(square, 127690142);
    int32_t denominator = mcusim_high(p, inner) + mcusim_high(q, 638450708);
    int32_t quotient = mcusim_high(mcusim_divide(numerator, 31 - bits), mcusim_inverse(denominator));
    return mcusim_doubled(mcusim_high(high > low ? high : low, 1488522236) + quotient, 1);
}

typedef void one_row(const mcusim_rows *r, const int8_t *x, int8_t *y);

static void over_rows(const mcusim_rows *r, one_row *fixed, one_row *floating) {
    one_row *row = r->fixed ? fixed : floating;
    for (uint32_t i = 0; i < r->rows; i++) row(r, r->x + i * r->columns, r->y + i * r->columns);
}

static int8_t in_int8(int32_t v) {
    return (int8_t)(v > 127 ? 127 : v < -128 ? -128 : v);
}

static int32_t top_of(const mcusim_rows *r, const int8_t *x) {
    int32_t top = -128;
    for (uint32_t i = 0; i < r->columns; i++) top = x[i] > top ? x[i] : top;
    return top;
}

static void fixed_logs(const mcusim_rows *r, const int8_t *x, int8_t *y) {
    int32_t top = top_of(r, x), total = 0;
    for (uint32_t i = 0; i < r->columns; i++) {
        int32_t e = r->table[top - x[i]];
        total += e >= 0 ? mcusim_divide(e, SUM_BITS) : 0;
    }
    int32_t log = logarithm(total);
    int32_t lowest = mcusim_multiply(log + INT32_MIN, r->back, r->back_shift);
    int32_t end = -r->radius - 1 > lowest ? -r->radius - 1 : lowest;
    for (uint32_t i = 0; i < r->columns; i++) {
        int32_t below = x[i] - top, v = -128;
        if (below > end) {
            int32_t fixed = mcusim_multiply(below, r->multiplier, r->shift);
            v = mcusim_divide(fixed - log, 31 - INPUT_BITS - OUTPUT_BITS) + 127;
        }
        y[i] = in_int8(v);
    }
}

static void floating_logs(const mcusim_rows *r, const int8_t *x, int8_t *y) {
    int32_t top = top_of(r, x);
    float total = 0.0f;
    for (uint32_t i = 0; i < r->columns; i++) total += mcusim_exponential((float)(x[i] - top) * r->x_scale);
    float log = mcusim_logarithm(total);
    for (uint32_t i = 0; i < r->columns; i++) {
        float real = (float)(x[i] - top) * r->x_scale - log;
        y[i] = in_int8(mcusim_nearest(real / r->y_scale) + r->y_zero);
    }
}

void mcusim_log_softmax(const void *record, mcusim_state *state) {
    (void)state;
    over_rows((const mcusim_rows *)record, fixed_logs, floating_logs);
}

/* (r, shift) with 1 / sqrt(value) = r * 2^(shift - 31): five steps of Newton and Raphson, as TFLite takes them. */
static int32_t inverse_root(int32_t value, int *shift) {
    int right = 11;
    *shift = 0;
    if (value <= 1) return INT32_MAX;
    while (value >= 1 << 29) {
        value /= 4;
        right++;
    }
    int pairs = (31 - significant((uint32_t)value)) / 2 - 1;
    right -= pairs;
    int32_t half = mcusim_divide((value << 2 * pairs) >> 1, 1), x = 1 << 28;
    for (int i = 0; i < 5; i++) { /* three integer bits; a product of three such numbers has nine */
        int32_t cube = mcusim_doubled(mcusim_high(mcusim_high(x, x), x), 6);
        x = mcusim_doubled(mcusim_high((1 << 28) + (1 << 27), x) - mcusim_high(half, cube), 3);
    }
    int32_t root = mcusim_high(x, HALF_ROOT_2);
    if (right < 0) return (int32_t)((uint32_t)root << -right);
    *shift = -right;
    return root;
}

static int32_t squares(const int8_t *x, uint32_t count, int32_t zero) {
    int32_t total = 0;
    for (uint32_t i = 0; i < count; i++) total += (x[i] - zero) * (x[i] - zero);
    return total;
}

float mcusim_length(const int8_t *x, uint32_t count, int32_t zero) {
    int32_t total = squares(x, count, zero);
    return mcusim_root((float)(total > 1 ? total : 1));
}

static void fixed_units(const mcusim_rows *r, const int8_t *x, int8_t *y) {
    int shift;
    int32_t root = inverse_root(squares(x, r->columns, r->x_zero), &shift);
    for (uint32_t j = 0; j < r->columns; j++) y[j] = in_int8(mcusim_multiply(x[j] - r->x_zero, root, shift + 7));
}

static void floating_units(const mcusim_rows *r, const int8_t *x, int8_t *y) {
    float norm = mcusim_length(x, r->columns, r->x_zero);
    for (uint32_t j = 0; j < r->columns; j++)
        y[j] = in_int8(mcusim_nearest((float)(x[j] - r->x_zero) / norm / r->y_scale) + r->y_zero);
}

void mcusim_l2(const void *record, mcusim_state *state) {
    (void)state;
    over_rows((const mcusim_rows *)record, fixed_units, floating_units);
}
