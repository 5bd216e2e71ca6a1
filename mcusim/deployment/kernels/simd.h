/* Two products an instruction, where a core has the DSP extension (Cortex-M4, M7, M33, M55, M85).
 *
 * Four bytes are taken apart as sxtb16 gives them: bytes 0 and 2, and bytes 1 and 3, each pair as two int16 in
 * one register. Sums of integers wrap and may be made in any order: results are those of the plain loops. */
#ifndef MCUSIM_SIMD_H
#define MCUSIM_SIMD_H

#include "arithmetic.h"

#if defined(__ARM_FEATURE_SIMD32) && !defined(MCUSIM_PLAIN)
#include <arm_acle.h>
#define MCUSIM_SIMD 1
#define MCUSIM_SIMD_APART MCUSIM_APART /* a loop that needs all registers here, and elsewhere not */

/* Four bytes at any address. */
static inline uint32_t mcusim_four(const void *from) {
    uint32_t v;
    __builtin_memcpy(&v, from, 4);
    return v;
}

static inline int16x2_t mcusim_even(uint32_t v) { return __sxtb16((int8x4_t)v); }

/* The same, and a number added to each. */
static inline int16x2_t mcusim_even_plus(int16x2_t more, uint32_t v) { return __sxtab16(more, (int8x4_t)v); }

#if defined(__GNUC__) && !defined(__clang__) /* GCC does not see that one instruction rotates too */
static inline int16x2_t mcusim_odd(uint32_t v) {
    int16x2_t both;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(both) : "r"(v));
    return both;
}

static inline int16x2_t mcusim_odd_plus(int16x2_t more, uint32_t v) {
    int16x2_t both;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(both) : "r"(more), "r"(v));
    return both;
}
#else
static inline int16x2_t mcusim_odd(uint32_t v) { return __sxtb16((int8x4_t)(v >> 8 | v << 24)); }

static inline int16x2_t mcusim_odd_plus(int16x2_t more, uint32_t v) {
    return __sxtab16(more, (int8x4_t)(v >> 8 | v << 24));
}
#endif

/* The same number twice. */
static inline int16x2_t mcusim_twice(int32_t v) {
    return (int16x2_t)((uint32_t)v << 16 | ((uint32_t)v & 0xffffu));
}
#else
#define MCUSIM_SIMD 0
#define MCUSIM_SIMD_APART static
#endif

#endif
