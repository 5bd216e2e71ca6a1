/* Random words of an element: SplitMix64. */
#ifndef MCUSIM_MIX_H
#define MCUSIM_MIX_H

#include "arithmetic.h"

#define GOLDEN 0x9E3779B97F4A7C15u

static uint64_t mix(uint64_t z) { /* SplitMix64's finaliser */
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

#endif
