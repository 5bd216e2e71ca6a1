/* Products of 64 bits by 64 bits. */
#ifndef MCUSIM_WIDE_H
#define MCUSIM_WIDE_H

#include "arithmetic.h"

typedef struct {
    uint64_t high, low;
} mcusim_wide;

static inline mcusim_wide mcusim_wide_product(uint64_t a, uint64_t b) {
    uint64_t al = a & 0xffffffffu, ah = a >> 32, bl = b & 0xffffffffu, bh = b >> 32;
    uint64_t mid = ah * bl + (al * bl >> 32), mid2 = al * bh + (mid & 0xffffffffu);
    mcusim_wide r = {ah * bh + (mid >> 32) + (mid2 >> 32), a * b};
    return r;
}

#endif
