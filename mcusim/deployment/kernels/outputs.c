/* Accumulators become int8 outputs: the innermost work of every layer, in one place. */
#include "simd.h"

/* Clamp v, write it, and return whether it was inside. */
static inline uint32_t written(int32_t v, int32_t low, int32_t high, int8_t *y) {
    int32_t kept = v < low ? low : v;
    kept = kept > high ? high : kept;
    *y = (int8_t)kept;
    return (uint32_t)(kept == v);
}

#if MCUSIM_SIMD
/* How many of the first shifts are negative, by fours. */
static inline int downwards(const int8_t *shift, int count) {
    int n = 0;
    while (n + 4 <= count && (mcusim_four(shift + n) & 0x80808080u) == 0x80808080u) n += 4;
    return n;
}

/* Neighbouring outputs whose shifts are negative, at least one. Apart, so that the loop has all registers. */
MCUSIM_APART uint32_t down(const mcusim_output *out, const int32_t *acc, int count, int o, int8_t *y) {
    const int32_t low = out->low, high = out->high, zero = out->zero, *multiplier = out->multiplier + o;
    const int8_t *shift = out->shift + o;
    uint32_t inside = 0;
    int e = 0;
    do inside |= written(mcusim_multiply_down(acc[e], multiplier[e], shift[e]) + zero, low, high, y + e) << e;
    while (++e < count);
    return inside;
}
#endif

static uint32_t fixed(const mcusim_output *out, const int32_t *acc, int count, int o, int each_o, int8_t *y, int each_y) {
    const int32_t low = out->low, high = out->high, zero = out->zero, *multiplier = out->multiplier + o;
    const int8_t *shift = out->shift + o;
    uint32_t inside = 0;
    int e = 0;
#if MCUSIM_SIMD
    if (each_o) {
        e = downwards(shift, count);
        inside = e ? down(out, acc, e, o, y) : 0;
        multiplier += e, shift += e, y += e;
    } else if (*shift < 0) {
        const int32_t by = *multiplier, places = *shift;
        for (; e < count; e++, y += each_y)
            inside |= written(mcusim_multiply_down(acc[e], by, places) + zero, low, high, y) << e;
    }
#endif
    for (; e < count; e++, multiplier += each_o, shift += each_o, y += each_y)
        inside |= written(mcusim_multiply(acc[e], *multiplier, *shift) + zero, low, high, y) << e;
    return inside;
}

/* Clamp the bits of a shifted float32, as integers: they grow with it, and its last ones are the output. */
typedef struct {
    int32_t low, high, zero;
} limits;

static inline limits limits_of(const mcusim_output *out) {
    limits l = {MCUSIM_SHIFT_BITS + out->low - out->zero, MCUSIM_SHIFT_BITS + out->high - out->zero,
                out->zero - MCUSIM_SHIFT_BITS};
    return l;
}

MCUSIM_INLINE uint32_t near(float real, const limits *l, int8_t *y) {
    int32_t bits = (int32_t)mcusim_word(mcusim_shifted(real)), kept = bits < l->low ? l->low : bits;
    kept = kept > l->high ? l->high : kept;
    *y = (int8_t)(kept + l->zero);
    return (uint32_t)(kept == bits);
}

static uint32_t nearest(const mcusim_output *out, const int32_t *acc, int count, int o, int each_o, int8_t *y, int each_y) {
    const limits l = limits_of(out);
    const float *factor = out->factor + o;
    uint32_t inside = 0;
    int e = 0;
    if (each_o == 1 && each_y == 1)
        for (; e + 4 <= count; e += 4, factor += 4, y += 4) {
            uint32_t four = near((float)acc[e] * factor[0], &l, y) | near((float)acc[e + 1] * factor[1], &l, y + 1) << 1;
            four |= near((float)acc[e + 2] * factor[2], &l, y + 2) << 2;
            inside |= (four | near((float)acc[e + 3] * factor[3], &l, y + 3) << 3) << e;
        }
    for (; e < count; e++, factor += each_o, y += each_y) inside |= near((float)acc[e] * *factor, &l, y) << e;
    return inside;
}

/* A sum that wrapped when its bias was added, as the float32 nearest to what it would be with room. */
static inline float widened(int32_t acc, int32_t bias) {
    int64_t v = (int64_t)bias + (int32_t)((uint32_t)acc - (uint32_t)bias);
    int32_t half = (int32_t)(v >> 1) | (int32_t)(v & 1); /* one bit less: it only says whether there was more */
    return v == (int32_t)v ? (float)(int32_t)v : (float)half * 2.0f;
}

static uint32_t wide(const mcusim_output *out, const int32_t *acc, int count, int o, int each_o, int8_t *y, int each_y) {
    const limits l = limits_of(out);
    const int32_t *bias = out->multiplier + o;
    const float *factor = out->factor + o;
    uint32_t inside = 0;
    for (int e = 0; e < count; e++, factor += each_o, bias += each_o, y += each_y)
        inside |= near(widened(acc[e], *bias) * *factor, &l, y) << e;
    return inside;
}

/* Write count <= 32 outputs: neighbours, of channels from o on, if each_o is 1; or of channel o, each_y bytes apart.
 * Return which of them were inside the clamp, the first one lowest. */
uint32_t mcusim_outputs(const mcusim_output *out, const int32_t *acc, int count, int o, int each_o, int8_t *y,
                        int each_y) {
    if (out->rounding == MCUSIM_FIXED) return fixed(out, acc, count, o, each_o, y, each_y);
    if (out->rounding == MCUSIM_NEAREST) return nearest(out, acc, count, o, each_o, y, each_y);
    if (out->rounding == MCUSIM_WIDE) return wide(out, acc, count, o, each_o, y, each_y);
    uint32_t inside = 0;
    for (int e = 0; e < count; e++, o += each_o, y += each_y) {
        int32_t v = mcusim_trunc((float)acc[e] * out->factor[o]) + out->zero;
        inside |= written(v, out->low, out->high, y) << e;
    }
    return inside;
}
