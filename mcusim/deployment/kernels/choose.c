/* Chooses which channels learn, at the beginning of a stage, for schemes that do not draw each layer by itself.
 *
 * It is the first op of a step: what was observed in the stage before becomes a mean, and the numbers of the
 * channels are written where the other ops read them. Choosing takes no memory but what the plan counts. */
#define product chosen_product /* linkers keep and leave out functions by name: these are not those of draw.c */
#define sum chosen_sum
#define advance chosen_advance
#define next chosen_next
#define hashed chosen_hashed
#define mixed chosen_mixed
#include "pcg.h"

static void insert_channel(const mcusim_chosen *c, uint32_t k, int32_t channel) { /* ascending */
    uint32_t at = k;
    for (; at && c->channels[at - 1] > channel; at--) c->channels[at] = c->channels[at - 1];
    c->channels[at] = (int16_t)channel;
}

/* The channel whose word follows another one's in order; equal words follow the order of channels. */
static int32_t following(generator g, int32_t count, uint64_t *word, int32_t last) {
    uint64_t best = 0;
    int32_t best_at = -1;
    for (int32_t i = 0; i < count; i++) {
        uint64_t w = next(&g);
        int behind = last < 0 || w > *word || (w == *word && i > last);
        if (behind && (best_at < 0 || w < best)) best = w, best_at = i;
    }
    *word = best;
    return best_at;
}

static void draw_layer(const mcusim_chosen *c, const generator *start) {
    uint64_t word = 0;
    int32_t last = -1;
    for (uint32_t k = 0; k < c->count; k++) {
        last = following(*start, c->of, &word, last);
        insert_channel(c, k, last);
    }
}

/* All channels take turns, in an order drawn once. */
void mcusim_in_turn(const mcusim_choice *r, uint32_t stage) {
    for (uint32_t i = 0; i < r->layers_count; i++) {
        const mcusim_chosen *c = &r->layers[i];
        if (c->of > 1 && c->order[0] == c->order[1]) { /* not drawn yet */
            uint32_t path[2] = {i, 0};
            const generator start = seeded_by((uint32_t)r->seed, path, 2);
            uint64_t word = 0;
            int32_t last = -1;
            for (uint32_t k = 0; k < c->of; k++) {
                last = following(start, c->of, &word, last);
                c->order[k] = (int16_t)last;
            }
        }
        uint32_t first = stage % c->of * c->count % c->of;
        for (uint32_t k = 0; k < c->count; k++) insert_channel(c, k, c->order[(first + k) % c->of]);
    }
}

/* One stream of random words for all layers, one after another. */
void mcusim_in_one_stream(const mcusim_choice *r, uint32_t stage) {
    generator g = seeded_by((uint32_t)r->seed, &stage, 1);
    for (uint32_t i = 0; i < r->layers_count; i++) {
        draw_layer(&r->layers[i], &g);
        for (uint32_t k = 0; k < r->layers[i].of; k++) (void)next(&g);
    }
}

/* The largest gradients when last observed; what never was comes first. A mean that was observed has its sign set,
 * so that its bits order it, and memory that holds zeros has observed nothing. */
void mcusim_by_norm(const mcusim_choice *r, uint32_t stage) {
    for (uint32_t i = 0; i < r->layers_count; i++) {
        const mcusim_chosen *c = &r->layers[i];
        uint32_t seen = 0, path[2] = {i, stage + 1}, last = 0;
        int32_t last_at = -1;
        for (uint32_t k = 0; k < c->of; k++) seen |= mcusim_word(c->latest[k]);
        if (!seen) {
            const generator start = seeded_by((uint32_t)r->seed, path, 2);
            draw_layer(c, &start);
            continue;
        }
        for (uint32_t k = 0; k < c->count; k++) {
            uint32_t best = 0;
            int32_t best_at = -1;
            for (int32_t n = 0; n < c->of; n++) {
                uint32_t bits = mcusim_word(c->latest[n]), score = bits ? bits & 0x7fffffffu : 0xffffffffu;
                int behind = last_at < 0 || score < last || (score == last && n > last_at);
                if (behind && (best_at < 0 || score > best)) best = score, best_at = n;
            }
            last = best, last_at = best_at;
            insert_channel(c, k, last_at);
        }
    }
}

static void close_stage(const mcusim_choice *r) {
    for (uint32_t i = 0; i < r->layers_count; i++) {
        const mcusim_chosen *c = &r->layers[i];
        for (uint32_t k = 0; c->sums && *r->steps_seen > 0.0f && k < c->count; k++) {
            c->latest[c->channels[k]] = -(c->sums[k] / *r->steps_seen);
            c->sums[k] = 0.0f;
        }
    }
    if (r->steps_seen) *r->steps_seen = 0.0f;
}

void mcusim_choose(const void *record, mcusim_state *state) {
    const mcusim_choice *r = (const mcusim_choice *)record;
    uint32_t stage = (uint32_t)state->iteration / r->steps;
    if (state->stage == stage + 1) return; /* 0, as init and load leave it, says that nothing is chosen yet */
    close_stage(r);
    state->stage = stage + 1;
    r->choose(r, stage);
}

void mcusim_observe(const void *record, mcusim_state *state) {
    const mcusim_choice *r = (const mcusim_choice *)record;
    *r->steps_seen += (float)state->updating;
}
