/* What the kernels count with: integers that wrap as registers do, float32 that rounds after every operation.
 *
 * Compile with -ffp-contract=off: a fused multiply-add rounds once where two roundings are stated. */
#ifndef MCUSIM_ARITHMETIC_H
#define MCUSIM_ARITHMETIC_H

#include <float.h>

#include "records.h"

#ifdef __FAST_MATH__
#error "-ffast-math changes results: compile without it, and with -ffp-contract=off"
#endif

/* Inlined even where a compiler is told to make code small; and never, so that an inner loop has all registers. */
#ifdef __GNUC__
#define MCUSIM_INLINE static inline __attribute__((always_inline))
#define MCUSIM_APART static __attribute__((noinline))
#else
#define MCUSIM_INLINE static inline
#define MCUSIM_APART static
#endif

/* Bytes of a record, where a structure assigned would call the C library. */
static inline void mcusim_copied(void *to, const void *from, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
}

typedef union {
    float f;
    uint32_t u;
} mcusim_bits;

static inline float mcusim_float(uint32_t bits) {
    mcusim_bits v;
    v.u = bits;
    return v.f;
}

static inline uint32_t mcusim_word(float x) {
    mcusim_bits v;
    v.f = x;
    return v.u;
}

/* x + 1.5 * 2^23: for |x| <= 2^22 the sum has no bits behind the point, and its last ones are the integer. */
static inline float mcusim_shifted(float x) {
#if FLT_EVAL_METHOD == 0
    return x + 12582912.0f;
#else
    volatile float sum = x + 12582912.0f; /* rounded to float32 where sums are wider */
    return sum;
#endif
}

/* Round half to even, |x| <= 2^22. */
static inline float mcusim_rint(float x) { return mcusim_shifted(x) - 12582912.0f; }

/* Clamp to a range in which every float32 is an exact int32; NaN becomes the lower end. */
static inline float mcusim_near(float x, float limit) {
    return x >= -limit ? (x < limit ? x : limit) : -limit;
}

/* Round to the nearest integer, half to even; beyond 2^22 any value will do, it is clamped later. */
static inline int32_t mcusim_nearest(float x) { return (int32_t)mcusim_rint(mcusim_near(x, 4194304.0f)); }

/* The bits of 1.5 * 2^23, so those of mcusim_shifted(0). */
#define MCUSIM_SHIFT_BITS 0x4b400000

static inline int32_t mcusim_trunc(float x) { return (int32_t)mcusim_near(x, 1073741824.0f); }

/* Round half away from zero, as C's roundf. */
static inline int32_t mcusim_half_away(float x) {
    float near = mcusim_near(x, 8388608.0f);
    int32_t whole = (int32_t)near;
    float rest = near - (float)whole;
    return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

/* Rounding division by a power of two, half away from zero (gemmlowp's RoundingDivideByPOT). */
static inline int32_t mcusim_divide(int32_t x, int bits) {
    int32_t low = (int32_t)(((uint32_t)1 << bits) - 1u);
    return (x >> bits) + ((x & low) > (low >> 1) + (x < 0));
}

/* round(a * b / 2^31), ties towards plus infinity (gemmlowp's SaturatingRoundingDoublingHighMul). */
static inline int32_t mcusim_high(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* TFLite's MultiplyByQuantizedMultiplier with double rounding. */
static inline int32_t mcusim_multiply(int32_t x, int32_t multiplier, int shift) {
    int left = shift > 0 ? shift : 0;
    return mcusim_divide(mcusim_high((int32_t)((uint32_t)x << left), multiplier), left - shift);
}

/* The same by a negative shift: the multiplier is 2^30 or more then, so twice of it, less 2^32, is an int32, and the
 * upper half of its product with x, 2^32 x and a half added, is one instruction where a core has the DSP extension. */
static inline int32_t mcusim_multiply_down(int32_t x, int32_t multiplier, int shift) {
    int32_t twice = (int32_t)((uint32_t)multiplier << 1);
    int64_t wide = (int64_t)((uint64_t)(uint32_t)x << 32 | 0x80000000u) + (int64_t)x * twice;
    int32_t high = (int32_t)(wide >> 32);
    return (((high + (high >> 31)) >> (-1 - shift)) + 1) >> 1; /* half away from zero */
}

/* mcusim_multiply of 64 bits, by the upper 16 of the multiplier: one rounding. A product wraps, as registers do. */
static inline int64_t mcusim_multiply_wide(int64_t x, int32_t multiplier, int shift) {
    int32_t upper = multiplier < 0x7fff0000 ? (multiplier + (1 << 15)) >> 16 : 0x7fff;
    return (int64_t)((uint64_t)x * (uint64_t)upper + ((uint64_t)1 << (14 - shift))) >> (15 - shift);
}

static inline int8_t mcusim_clamped(const mcusim_output *out, int32_t v) {
    int32_t low = out->low, high = out->high;
    v = v < low ? low : v;
    return (int8_t)(v > high ? high : v);
}

static inline uint32_t mcusim_inside(const mcusim_output *out, int32_t v) {
    return (uint32_t)(v >= out->low) & (uint32_t)(v <= out->high);
}

/* Random words as a function of integers: SplitMix64, and its finaliser. */
#define MCUSIM_GOLDEN 0x9E3779B97F4A7C15u

static inline uint64_t mcusim_mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Element i of what has 8 bits, or 16. */
static inline int32_t mcusim_read(const void *data, int wide, uint32_t i) {
    return wide ? ((const int16_t *)data)[i] : ((const int8_t *)data)[i];
}

/* The real number that element i of an output stands for. */
static inline float mcusim_meant(const void *data, uint8_t type, float scale, int32_t zero, uint32_t i) {
    if (type == MCUSIM_FLOAT32) return ((const float *)data)[i];
    if (type == MCUSIM_INT32) return ((float)((const int32_t *)data)[i] - (float)zero) * scale;
    if (type == MCUSIM_INT16) return ((float)((const int16_t *)data)[i] - (float)zero) * scale;
    return ((float)((const int8_t *)data)[i] - (float)zero) * scale;
}

/* Where a pattern lies in this step: GOLDEN * iteration, scaled to its places. */
static inline uint32_t mcusim_phase(const mcusim_pattern *p, uint64_t iteration) {
    return (uint32_t)(((uint64_t)((uint32_t)iteration * 0x9E3779B1u) * p->phases) >> 32);
}

static inline uint32_t mcusim_kept(const mcusim_pattern *p, uint32_t phase, uint32_t pixel) {
    uint32_t row = pixel / p->w + p->h - phase % p->down, column = pixel % p->w + p->w - phase / p->down;
    uint32_t down = row % p->h % p->rows == 0, across = column % p->w % p->columns == 0;
    return p->checker ? down == across : down & across;
}

/* Bits written in ascending order: eight make a byte. Nothing is written where there is no mask. */
typedef struct {
    uint8_t *at;
    uint32_t bits, count;
} mcusim_writer;

static inline void mcusim_bit(mcusim_writer *w, uint32_t bit) {
    w->bits |= bit << w->count;
    if (++w->count == 8) {
        if (w->at) *w->at++ = (uint8_t)w->bits;
        w->bits = w->count = 0;
    }
}

/* A few bits at once, the first of them lowest. */
static inline void mcusim_some_bits(mcusim_writer *w, uint32_t bits, uint32_t count) {
    w->bits |= bits << w->count;
    w->count += count;
    while (w->count >= 8) {
        if (w->at) *w->at++ = (uint8_t)w->bits;
        w->bits >>= 8;
        w->count -= 8;
    }
}

static inline void mcusim_bits_end(mcusim_writer *w) {
    if (w->count && w->at) *w->at = (uint8_t)w->bits;
}

/* Bits i to i + 3 of a mask, the first lowest; all where there is none. */
static inline uint32_t mcusim_four_pass(const uint8_t *mask, uint32_t i) {
    return mask ? ((uint32_t)mask[i >> 3] | (uint32_t)mask[(i + 3) >> 3] << 8) >> (i & 7u) : 15u;
}

/* All ones where bit i of a mask is set or there is no mask, else zero. */
static inline uint32_t mcusim_passes(const uint8_t *mask, uint32_t i) {
    return mask ? (uint32_t)0 - ((uint32_t)(mask[i >> 3] >> (i & 7u)) & 1u) : 0xffffffffu;
}

/* How many channels learn, of as many as can at most: -1 stands behind the last of them. */
static inline uint32_t mcusim_learning(const int16_t *channels, uint32_t most) {
    while (most && channels[most - 1] < 0) most--;
    return most;
}

#endif
