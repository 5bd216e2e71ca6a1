/* numpy's SeedSequence and PCG64 as mcusim/update/draw.py uses them: 64 random bits at a time. */
#ifndef MCUSIM_PCG_H
#define MCUSIM_PCG_H

#include "wide.h"

static mcusim_wide wide_sum(mcusim_wide a, mcusim_wide b) {
    mcusim_wide r = {a.high + b.high, a.low + b.low};
    r.high += r.low < a.low;
    return r;
}

typedef struct {
    mcusim_wide state, step;
} generator;

static void advance(generator *g) {
    const mcusim_wide m = {2549297995355413924u, 4865540595714422341u};
    mcusim_wide p = mcusim_wide_product(g->state.low, m.low);
    p.high += g->state.high * m.low + g->state.low * m.high;
    g->state = wide_sum(p, g->step);
}

static uint64_t next(generator *g) {
    advance(g);
    uint64_t x = g->state.high ^ g->state.low;
    uint32_t turn = (uint32_t)(g->state.high >> 58);
    return x >> turn | x << ((64u - turn) & 63u);
}

static uint32_t hashed(uint32_t value, uint32_t *constant, uint32_t factor) {
    value ^= *constant;
    *constant *= factor;
    value *= *constant;
    return value ^ value >> 16;
}

static uint32_t mixed(uint32_t x, uint32_t y) {
    uint32_t r = 0xca01f9ddu * x - 0x4973f715u * y;
    return r ^ r >> 16;
}

/* The stream of a seed below 2^32 and a path of so many numbers. */
MCUSIM_INLINE generator seeded_by(uint32_t seed, const uint32_t *path, int numbers) {
    uint32_t pool[4] = {seed, 0, 0, 0}, words[8], constant = 0x43b0d7e5u;
    for (int i = 0; i < 4; i++) pool[i] = hashed(pool[i], &constant, 0x931e8875u);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            if (i != j) pool[j] = mixed(pool[j], hashed(pool[i], &constant, 0x931e8875u));
    for (int i = 0; i < numbers; i++)
        for (int j = 0; j < 4; j++) pool[j] = mixed(pool[j], hashed(path[i], &constant, 0x931e8875u));
    constant = 0x8b51f9ddu;
    for (int i = 0; i < 8; i++) words[i] = hashed(pool[i & 3], &constant, 0x58f38dedu);
    uint64_t v[4];
    for (int i = 0; i < 4; i++) v[i] = words[2 * i] | (uint64_t)words[2 * i + 1] << 32;
    mcusim_wide start = {v[0], v[1]};
    generator g = {{0, 0}, {v[2] << 1 | v[3] >> 63, v[3] << 1 | 1}};
    advance(&g);
    g.state = wide_sum(g.state, start);
    advance(&g);
    return g;
}

#endif
