/* Square roots, and sums that are float64 by definition: in integers, so that no core needs a double. */
#include "wide.h"

/* Bits of the root of a number in [2^52, 2^54) times 2^54, the last of them to round by: digit after digit. */
static uint64_t root_bits(uint64_t value, int bits, uint64_t *rest) {
    uint64_t root = 0, left = 0;
    for (int i = 0; i < bits; i++) {
        left = left << 2 | (value >> 52 & 3u);
        value <<= 2;
        uint64_t trial = root << 2 | 1u;
        root <<= 1;
        if (left >= trial) {
            left -= trial;
            root |= 1u;
        }
    }
    *rest = left;
    return root;
}

/* The float32 nearest to the square root of one that is not negative. No root lies halfway between two. */
float mcusim_root(float value) {
#if defined(__GNUC__) && defined(__ARM_FP) && (__ARM_FP & 4)
    float root; /* what the unit gives, is rounded as IEEE 754 says */
    __asm("vsqrt.f32 %0, %1" : "=t"(root) : "t"(value));
    return root;
#elif defined(__GNUC__) && defined(__riscv_flen)
    float root;
    __asm("fsqrt.s %0, %1" : "=f"(root) : "f"(value));
    return root;
#else
    uint32_t bits = mcusim_word(value), mantissa = bits & 0x7fffffu;
    int e = (int)(bits >> 23);
    uint64_t rest;
    if (!bits || e >= 255) return value;
    if (e) mantissa |= 0x800000u;
    for (e += !e; !(mantissa & 0x800000u); e--) mantissa <<= 1; /* a number below the normal ones */
    e -= 127;
    uint64_t root = root_bits((uint64_t)mantissa << (29 + (e & 1)), 25, &rest);
    return mcusim_float((uint32_t)((e - (e & 1)) / 2 + 126) * 0x800000u + (uint32_t)((root + 1) >> 1));
#endif
}

/* m * 2^e with m of up to 64 bits, to 53 of them, half to even. The last bit may stand for all behind it. */
static mcusim_real to_53_bits(uint64_t m, int32_t e) {
    mcusim_real r = {m, e};
    if (!m) return r;
    for (; !(r.m >> 52); r.e--) r.m <<= 1;
    int lost = 0;
    while (r.m >> (53 + lost)) lost++;
    if (lost) {
        uint64_t rest = r.m & (((uint64_t)1 << lost) - 1), half = (uint64_t)1 << (lost - 1);
        r.m = (r.m >> lost) + (rest > half || (rest == half && (r.m >> lost & 1u)));
        r.e += lost;
        if (r.m >> 53) r.m >>= 1, r.e++;
    }
    return r;
}

static uint64_t mantissa_of(float x, int32_t *e) { /* |x| = mantissa * 2^e */
    uint32_t bits = mcusim_word(x), size = bits >> 23 & 255u;
    *e = (int32_t)(size ? size : 1) - 150;
    return size ? (bits & 0x7fffffu) | 0x800000u : bits & 0x7fffffu;
}

/* a + b for two that are not negative. */
mcusim_real mcusim_real_sum(mcusim_real a, mcusim_real b) {
    if (!a.m) return b;
    if (!b.m) return a;
    if (a.e < b.e) {
        mcusim_real c = a;
        a = b, b = c;
    }
    int32_t away = a.e - b.e;
    uint64_t low = b.m << 10, shifted = away < 63 ? low >> away : 0;
    if (away >= 63 || (shifted << away) != low) shifted |= 1u;
    return to_53_bits((a.m << 10) + shifted, a.e - 10);
}

/* |x|, exactly. */
mcusim_real mcusim_real_of(float x) {
    int32_t e;
    uint64_t m = mantissa_of(x, &e);
    mcusim_real r = {m << 29, e - 29};
    return m >> 23 ? r : to_53_bits(m, e);
}

/* m * 2^e, rounded if m has more than 53 bits. */
mcusim_real mcusim_real_scaled(uint64_t m, int32_t e) { return to_53_bits(m, e); }

int mcusim_real_less(mcusim_real a, mcusim_real b) {
    if (!a.m || !b.m) return !a.m && b.m;
    return a.e != b.e ? a.e < b.e : a.m < b.m;
}

mcusim_real mcusim_real_product(mcusim_real a, mcusim_real b) {
    mcusim_wide p = mcusim_wide_product(a.m, b.m);
    return to_53_bits(p.high << 20 | p.low >> 44 | (p.low << 20 != 0), a.e + b.e + 44);
}

/* a / b, b not 0: digit after digit, and whether anything is left. */
mcusim_real mcusim_real_quotient(mcusim_real a, mcusim_real b) {
    uint64_t digits = 0, left = a.m;
    for (int i = 0; i < 62; i++) {
        int fits = left >= b.m;
        digits = digits << 1 | (uint64_t)fits;
        left = (left - (fits ? b.m : 0)) << 1;
    }
    return to_53_bits(digits | (left != 0), a.e - b.e - 61);
}

/* The integer below one less than 2^32. */
uint32_t mcusim_real_floor(mcusim_real value) {
    if (value.e >= 0) return (uint32_t)(value.m << value.e);
    return value.e > -64 ? (uint32_t)(value.m >> -value.e) : 0;
}

/* Add x^2 * factor, the square exact, the product and the sum rounded each. */
void mcusim_add_square(mcusim_real *total, float x, float factor) {
    int32_t ex, ef;
    uint64_t x1 = mantissa_of(x, &ex), f = mantissa_of(factor, &ef), square = x1 * x1;
    uint64_t low = (square & 0xffffffu) * f, high = (square >> 24) * f + (low >> 24);
    int32_t e = 2 * ex + ef;
    low &= 0xffffffu;
    if (high >> 40)
        *total = mcusim_real_sum(*total, to_53_bits(high << 15 | low >> 9 | ((low & 511u) != 0), e + 9));
    else
        *total = mcusim_real_sum(*total, to_53_bits(high << 24 | low, e));
}

/* a - b, b not larger. */
static mcusim_real difference(mcusim_real a, mcusim_real b) {
    int32_t away = a.e - b.e;
    if (!b.m) return a;
    uint64_t low = b.m << 10, shifted = away < 63 ? low >> away : 0;
    if (away >= 63 || (shifted << away) != low) shifted |= 1u;
    return to_53_bits((a.m << 10) - shifted, a.e - 10);
}

/* Add x * factor, which is exact for factors of 8 bits, to a sum and its sign. */
void mcusim_add_product(mcusim_real *total, int *negative, float x, int32_t factor) {
    int32_t e, minus = (int32_t)(mcusim_word(x) >> 31) ^ (factor < 0);
    uint64_t m = mantissa_of(x, &e) * (uint64_t)(factor < 0 ? -factor : factor);
    mcusim_real value = to_53_bits(m, e);
    if (!value.m) return;
    if (!total->m || *negative == minus) {
        *total = mcusim_real_sum(*total, value);
        *negative = minus;
    } else if (mcusim_real_less(*total, value)) {
        *total = difference(value, *total);
        *negative = minus;
    } else {
        *total = difference(*total, value);
    }
}

/* The root in float64, then as float32. */
float mcusim_root_of(const mcusim_real *total) {
    uint64_t rest;
    if (!total->m) return 0.0f;
    int32_t odd = total->e & 1, e = (total->e - odd) / 2 - 27;
    uint64_t root = root_bits(total->m << odd, 54, &rest);
    return mcusim_real_float(to_53_bits(root << 1 | (rest != 0), e - 1));
}

/* The nearest float32, half to even. */
float mcusim_real_float(mcusim_real r) {
    if (!r.m) return 0.0f;
    int32_t lost = 29, top = r.e + 52; /* 53 bits to 24, or to fewer below the normal numbers */
    if (top > 127) return mcusim_float(0x7f800000u);
    if (top < -126) lost += -126 - top;
    if (lost > 60) return 0.0f;
    uint64_t kept = r.m >> lost, behind = r.m & (((uint64_t)1 << lost) - 1), half = (uint64_t)1 << (lost - 1);
    kept += behind > half || (behind == half && (kept & 1u));
    if (top < -126) return mcusim_float((uint32_t)kept);
    return mcusim_float((uint32_t)(top + 126) * 0x800000u + (uint32_t)kept);
}

/* acc * factor in float64, the factor positive and given by its bits, rounded half away from zero; far beyond every
 * clamp it stays at 2^40. */
int64_t mcusim_once(int64_t acc, uint64_t factor) {
    const int64_t far = (int64_t)1 << 40;
    uint64_t size = acc < 0 ? (uint64_t)0 - (uint64_t)acc : (uint64_t)acc;
    mcusim_real f = {(factor & 0xfffffffffffffu) | (uint64_t)1 << 52, (int32_t)(factor >> 52) - 1075};
    mcusim_real p = mcusim_real_product(to_53_bits(size, 0), f);
    int64_t v = 0;
    if (p.m && p.e >= -10)
        v = far;
    else if (p.m && p.e > -54)
        v = (int64_t)((p.m + ((uint64_t)1 << (-p.e - 1))) >> -p.e);
    v = v > far ? far : v;
    return acc < 0 ? -v : v;
}
