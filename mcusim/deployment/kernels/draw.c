/* Draws which channels learn in a stage, as mcusim/update/draw.py does.
 *
 * A subset of k of n channels is those of the k smallest of n random words. The words are made again for each
 * channel that is looked for, so that drawing needs no memory. */
#include "pcg.h"

/* The stream of a seed below 2^32 and a path of two numbers. */
static generator seeded(uint32_t seed, uint32_t first, uint32_t second) {
    uint32_t path[2] = {first, second};
    return seeded_by(seed, path, 2);
}

static void draw(const mcusim_drawn *d, uint32_t seed, uint32_t stage) {
    const generator start = seeded(seed, d->position, stage + 1);
    uint64_t last = 0;
    int32_t last_at = -1;
    for (uint32_t k = 0; k < d->count; k++) {
        generator g = start;
        uint64_t best = 0;
        int32_t best_at = -1;
        for (int32_t i = 0; i < d->of; i++) {
            uint64_t word = next(&g);
            int behind = last_at < 0 || word > last || (word == last && i > last_at);
            if (behind && (best_at < 0 || word < best)) best = word, best_at = i;
        }
        last = best, last_at = best_at;
        uint32_t at = k; /* ascending */
        for (; at && d->channels[at - 1] > best_at; at--) d->channels[at] = d->channels[at - 1];
        d->channels[at] = (int16_t)best_at;
    }
}

void mcusim_stage(const mcusim_network *n, uint32_t stage) {
    n->state->stage = stage;
    for (uint32_t i = 0; i < n->drawn_count; i++) draw(&n->drawn[i], (uint32_t)n->seed, stage);
}
