/* Scales of integer error tensors: the smallest power of two with which the largest magnitude seen so far,
 * slowly forgotten, fits. The magnitudes are float64 by definition; their bits are made of integers here. */
#include "arithmetic.h"

#define TOP52 ((uint64_t)1 << 52)

static uint64_t as_float64(float x) { /* a positive normal float32 as float64 */
    uint32_t u = mcusim_word(x);
    return ((uint64_t)((u >> 23) + 896u) << 52) | (uint64_t)(u & 0x7fffffu) << 29;
}

/* x * 0.999 in float64, rounded half to even. */
static uint64_t decayed(uint64_t x) {
    const uint64_t f = 0x1FF7CED916872Bu; /* 0.999 = f * 2^-53 */
    uint64_t m = (x & (TOP52 - 1)) | TOP52, e = x >> 52;
    uint64_t low = (m & 0xffffffffu) * (f & 0xffffffffu), high = (m >> 32) * (f >> 32);
    uint64_t mid = (m >> 32) * (f & 0xffffffffu) + (low >> 32), mid2 = (m & 0xffffffffu) * (f >> 32) + (mid & 0xffffffffu);
    high += (mid >> 32) + (mid2 >> 32);
    low = (mid2 << 32) | (low & 0xffffffffu); /* high:low = m * f, 105 or 106 bits */
    int shift = high >> 41 ? 53 : 52;
    uint64_t kept = high << (64 - shift) | low >> shift;
    uint64_t rest = low & (((uint64_t)1 << shift) - 1), half = (uint64_t)1 << (shift - 1);
    kept += rest > half || (rest == half && (kept & 1));
    return ((e - (shift == 52)) << 52) + (kept - TOP52);
}

/* 2^e with largest / top = m * 2^e, 1/2 <= m < 1. */
static float scale_of(uint64_t largest, int32_t top) {
    uint64_t t = as_float64((float)top);
    int e = (int)(largest >> 52) - (int)(t >> 52) + ((largest & (TOP52 - 1)) >= (t & (TOP52 - 1)));
    return mcusim_float((uint32_t)(e + 127) << 23);
}

void mcusim_advance(const void *record, mcusim_state *state) {
    const mcusim_scales *r = (const mcusim_scales *)record;
    state->rescaled = 0;
    for (int i = 0; i < r->count; i++) {
        uint64_t old = r->largest[i] ? decayed(r->largest[i]) : 0;
        uint64_t seen = r->peaks[i] > 0.0f ? as_float64(r->peaks[i]) : 0;
        uint64_t largest = seen > old ? seen : old;
        r->largest[i] = largest;
        r->peaks[i] = 0.0f;
        if (!largest) continue;
        float scale = scale_of(largest, r->top);
        state->rescaled = (uint8_t)(state->rescaled | (mcusim_word(scale) != mcusim_word(r->scales[i])));
        r->scales[i] = scale;
    }
}
