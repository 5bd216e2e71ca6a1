/* Chooses which channels learn, at the beginning of a stage.
 *
 * Where layers do not draw by themselves, it is the first op of a step: what was observed in the stage before becomes
 * a mean, and the numbers of the channels are written where the other ops read them. Choosing takes no memory but what
 * the plan counts. */
#include "pcg.h"

static void insert_channel(int16_t *channels, uint32_t k, int32_t channel) { /* ascending */
    uint32_t at = k;
    for (; at && channels[at - 1] > channel; at--) channels[at] = channels[at - 1];
    channels[at] = (int16_t)channel;
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

/* Nothing learns behind the first so many. */
static void end_channels(const mcusim_chosen *c, uint32_t count) {
    for (uint32_t k = count; k < c->count; k++) c->channels[k] = -1;
}

/* A subset of k of n channels is those of the k smallest of n random words, as in mcusim/update/draw.py. The words
 * are made again for each channel that is looked for, so that drawing needs no memory. */
static void draw_channels(int16_t *channels, uint32_t count, uint32_t of, const generator *start) {
    uint64_t word = 0;
    int32_t last = -1;
    for (uint32_t k = 0; k < count; k++) {
        last = following(*start, (int32_t)of, &word, last);
        insert_channel(channels, k, last);
    }
}

/* Begin a stage of channels that each layer draws by itself. */
void mcusim_begin_stage(const mcusim_network *n, uint32_t stage) {
    n->state->stage = stage;
    for (uint32_t i = 0; i < n->drawn_count; i++) {
        const mcusim_drawn *d = &n->drawn[i];
        uint32_t path[2] = {d->position, stage + 1};
        const generator start = seeded_by((uint32_t)n->seed, path, 2);
        draw_channels(d->channels, d->count, d->of, &start);
    }
    if (n->resident) n->resident->read(n);
}

int mcusim_stage(const mcusim_network *n, uint32_t stage) {
    n->state->stage = stage; /* also where that fails: flash would be erased in every step */
    if (n->resident && n->resident->write_back(n)) return 1;
    mcusim_begin_stage(n, stage);
    return 0;
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
        for (uint32_t k = 0; k < c->count; k++) insert_channel(c->channels, k, c->order[(first + k) % c->of]);
    }
}

/* One stream of random words for all layers, one after another. */
void mcusim_in_one_stream(const mcusim_choice *r, uint32_t stage) {
    generator g = seeded_by((uint32_t)r->seed, &stage, 1);
    for (uint32_t i = 0; i < r->layers_count; i++) {
        draw_channels(r->layers[i].channels, r->layers[i].count, r->layers[i].of, &g);
        for (uint32_t k = 0; k < r->layers[i].of; k++) (void)next(&g);
    }
}

static int affords(const mcusim_chosen *c, const uint32_t *left) {
    return c->cost[0] <= left[0] && c->cost[1] <= left[1];
}

static void buy(const mcusim_chosen *c, uint32_t *left, uint32_t channel) {
    uint32_t k = 0;
    left[0] -= c->cost[0], left[1] -= c->cost[1];
    while (k < c->count && c->channels[k] >= 0) k++;
    insert_channel(c->channels, k, (int32_t)channel);
}

/* Any channel of any layer is as likely, until nothing more can be had of what the layers share. */
void mcusim_within_limits(const mcusim_choice *r, uint32_t stage) {
    const generator start = seeded_by((uint32_t)r->seed, &stage, 1);
    uint32_t left[2] = {r->limits[0], r->limits[1]}, last_at = 0;
    uint64_t last = 0;
    int any = 0;
    for (uint32_t i = 0; i < r->layers_count; i++) end_channels(&r->layers[i], 0);
    for (;;) {
        generator g = start;
        uint64_t best = 0;
        uint32_t at = 0, best_at = 0, best_channel = 0;
        const mcusim_chosen *found = NULL;
        for (uint32_t i = 0; i < r->layers_count; i++) {
            const mcusim_chosen *c = &r->layers[i];
            int possible = affords(c, left);
            for (uint32_t n = 0; n < c->of; n++, at++) {
                uint64_t w = next(&g);
                int behind = !any || w > last || (w == last && at > last_at);
                if (possible && behind && (!found || w < best)) best = w, best_at = at, best_channel = n, found = c;
            }
        }
        if (!found) return;
        any = 1, last = best, last_at = best_at;
        buy(found, left, best_channel);
    }
}

/* The largest of what was last observed; what never was counts as unseen. A mean that was observed has its sign set,
 * so that its bits order it, and memory that holds zeros has observed nothing. */
static void largest(const mcusim_chosen *c, uint32_t count, uint32_t unseen) {
    uint32_t last = 0;
    int32_t last_at = -1;
    for (uint32_t k = 0; k < count; k++) {
        uint32_t best = 0;
        int32_t best_at = -1;
        for (int32_t n = 0; n < c->of; n++) {
            uint32_t bits = mcusim_word(c->latest[n]), score = bits ? bits & 0x7fffffffu : unseen;
            int behind = last_at < 0 || score < last || (score == last && n > last_at);
            if (behind && (best_at < 0 || score > best)) best = score, best_at = n;
        }
        last = best, last_at = best_at;
        insert_channel(c->channels, k, last_at);
    }
}

/* The largest gradients, after those that were never observed. */
static void largest_norms(const mcusim_choice *r, uint32_t layer, uint32_t count, uint32_t stage) {
    const mcusim_chosen *c = &r->layers[layer];
    uint32_t seen = 0, path[2] = {layer, stage + 1};
    for (uint32_t k = 0; k < c->of; k++) seen |= mcusim_word(c->latest[k]);
    if (seen) {
        largest(c, count, 0xffffffffu);
    } else {
        const generator start = seeded_by((uint32_t)r->seed, path, 2);
        draw_channels(c->channels, count, c->of, &start);
    }
}

void mcusim_by_norm(const mcusim_choice *r, uint32_t stage) {
    for (uint32_t i = 0; i < r->layers_count; i++) largest_norms(r, i, r->layers[i].count, stage);
}

/* The same of as many channels as the error calls for: at its largest so far, and before any was seen, the most. */
void mcusim_by_error(const mcusim_choice *r, uint32_t stage) {
    const mcusim_real one = {(uint64_t)1 << 52, -52};
    for (uint32_t i = 0; i < r->layers_count; i++) {
        const mcusim_chosen *c = &r->layers[i];
        float mean = c->error[1], peak = c->error[2];
        int finite = (mcusim_word(mean) & 0x7f800000u) != 0x7f800000u;
        mcusim_real share = one;
        if (finite && peak > 0.0f) share = mcusim_real_quotient(mcusim_real_of(mean), mcusim_real_of(peak));
        share = mcusim_real_sum(r->least, mcusim_real_product(share, r->span));
        for (uint32_t d = 0; d < c->depth; d++) share = mcusim_real_product(share, r->damping);
        uint32_t count = mcusim_real_floor(mcusim_real_product(mcusim_real_of((float)c->of), share));
        count = count < 1 ? 1 : count > c->count ? c->count : count;
        largest_norms(r, i, count, stage);
        end_channels(c, count);
    }
}

/* A lot of the channels of some layers, each as heavy as its norm when last observed; one that never was is as
 * heavy as the mean of those of its layer, or of all. */
typedef struct {
    const mcusim_chosen *layers;
    uint32_t count;
    const mcusim_real *mean;        /* of all */
    int even;                       /* all are as heavy */
} lot;

static int is_known(const mcusim_chosen *c, uint32_t n) {
    uint32_t size = mcusim_word(c->latest[n]) & 0x7fffffffu;
    return mcusim_word(c->latest[n]) && size < 0x7f800000u;
}

static mcusim_real score_of(const mcusim_chosen *c, uint32_t n) {
    mcusim_real norm = mcusim_real_of(c->latest[n]);
    return c->size.m ? mcusim_real_quotient(norm, c->size) : norm;
}

static uint32_t add_known(const mcusim_chosen *c, mcusim_real *total) {
    uint32_t known = 0;
    for (uint32_t n = 0; n < c->of; n++)
        if (is_known(c, n)) *total = mcusim_real_sum(*total, score_of(c, n)), known++;
    return known;
}

static mcusim_real mean_of(mcusim_real total, uint32_t count) {
    return count ? mcusim_real_quotient(total, mcusim_real_scaled(count, 0)) : total;
}

/* The sum of all weights up to the first that makes it larger than a limit; which that was, or the last in the lot. */
static mcusim_real weigh(const lot *l, const mcusim_real *limit, uint32_t *layer, uint32_t *channel) {
    const mcusim_real nothing = {0, 0}, one = {(uint64_t)1 << 52, -52};
    mcusim_real total = nothing;
    for (uint32_t i = 0; i < l->count; i++) {
        const mcusim_chosen *c = &l->layers[i];
        mcusim_real own = nothing;
        uint32_t known = l->even ? 0 : add_known(c, &own);
        mcusim_real mean = known ? mean_of(own, known) : *l->mean;
        for (uint32_t n = 0; n < c->of; n++) {
            if (c->drawn[n]) continue;
            mcusim_real weight = l->even ? one : is_known(c, n) ? score_of(c, n) : mean;
            if (!weight.m) continue;
            total = mcusim_real_sum(total, weight);
            *layer = i, *channel = n;
            if (limit && mcusim_real_less(*limit, total)) return total;
        }
    }
    return total;
}

static void take(lot *l, uint64_t word, uint32_t *layer, uint32_t *channel) {
    mcusim_real total = weigh(l, NULL, layer, channel);
    if (!total.m) {
        l->even = 1;
        total = weigh(l, NULL, layer, channel);
    }
    mcusim_real point = mcusim_real_product(mcusim_real_scaled(word >> 11, -53), total);
    weigh(l, &point, layer, channel);
    l->layers[*layer].drawn[*channel] = 1;
}

/* Put everything back into the lot; return the mean of what is known, or 0. */
static mcusim_real put_back(const mcusim_choice *r) {
    mcusim_real total = {0, 0};
    uint32_t known = 0;
    for (uint32_t i = 0; i < r->layers_count; i++) {
        for (uint32_t n = 0; n < r->layers[i].of; n++) r->layers[i].drawn[n] = 0;
        known += add_known(&r->layers[i], &total);
    }
    return mean_of(total, known);
}

/* Channels of each layer by itself. */
void mcusim_by_chance(const mcusim_choice *r, uint32_t stage) {
    uint32_t layer, channel;
    (void)put_back(r);
    for (uint32_t i = 0; i < r->layers_count; i++) {
        const mcusim_chosen *c = &r->layers[i];
        mcusim_real own_total = {0, 0};
        lot own = {c, 1, &own_total, 0};
        uint32_t path[2] = {i, stage + 1};
        generator g = seeded_by((uint32_t)r->seed, path, 2);
        if (!add_known(c, &own_total)) {
            draw_channels(c->channels, c->count, c->of, &g);
            continue;
        }
        for (uint32_t k = 0; k < c->count; k++) {
            take(&own, next(&g), &layer, &channel);
            insert_channel(c->channels, k, (int32_t)channel);
        }
    }
}

/* Channels of one layer after another, by one stream of words. */
void mcusim_by_importance(const mcusim_choice *r, uint32_t stage) {
    uint32_t layer, channel;
    const mcusim_real mean = put_back(r);
    generator g = seeded_by((uint32_t)r->seed, &stage, 1);
    for (uint32_t i = 0; i < r->layers_count; i++) {
        const mcusim_chosen *c = &r->layers[i];
        lot own = {c, 1, &mean, !mean.m};
        for (uint32_t k = 0; k < c->count; k++) {
            take(&own, next(&g), &layer, &channel);
            insert_channel(c->channels, k, (int32_t)channel);
        }
    }
}

/* Channels of all layers, until nothing more can be had of what they share. */
void mcusim_by_importance_within_limits(const mcusim_choice *r, uint32_t stage) {
    uint32_t layer, channel, left[2] = {r->limits[0], r->limits[1]}, possible = 1;
    const mcusim_real mean = put_back(r);
    lot all = {r->layers, r->layers_count, &mean, !mean.m};
    generator g = seeded_by((uint32_t)r->seed, &stage, 1);
    for (uint32_t i = 0; i < r->layers_count; i++) end_channels(&r->layers[i], 0);
    while (possible) {
        take(&all, next(&g), &layer, &channel);
        if (affords(&r->layers[layer], left)) buy(&r->layers[layer], left, channel);
        possible = 0;
        for (uint32_t i = 0; i < r->layers_count; i++)
            for (uint32_t n = 0; n < r->layers[i].of && affords(&r->layers[i], left); n++)
                possible |= !r->layers[i].drawn[n];
    }
}

/* The channels of a layer whose turn it is, their order found anew. */
static void take_turns(const mcusim_choice *r, uint32_t layer, uint32_t stage) {
    const mcusim_chosen *c = &r->layers[layer];
    uint32_t path[2] = {layer, 0}, first = stage % c->of * c->turns % c->of, k = 0;
    const generator start = seeded_by((uint32_t)r->seed, path, 2);
    uint64_t word = 0;
    int32_t last = -1;
    for (uint32_t rank = 0; rank < c->of; rank++) {
        last = following(start, c->of, &word, last);
        if ((rank + c->of - first) % c->of < c->turns) insert_channel(c->channels, k++, last);
    }
    end_channels(c, k);
}

static mcusim_real potential(const mcusim_chosen *c) {
    mcusim_real total = {0, 0};
    for (uint32_t n = 0; n < c->of; n++)
        if (is_known(c, n)) total = mcusim_real_sum(total, mcusim_real_of(c->latest[n]));
    return mcusim_real_quotient(total, c->size);
}

/* Layers by their Fisher information for what they take, in each the channels with most of it. */
void mcusim_by_fisher(const mcusim_choice *r, uint32_t stage) {
    uint32_t left[2] = {r->limits[0], r->limits[1]};
    mcusim_real last = {0, 0};
    int32_t last_at = -1;
    if (stage < r->probing) {
        for (uint32_t i = 0; i < r->layers_count; i++) take_turns(r, i, stage);
        return;
    }
    for (uint32_t rank = 0; rank < r->layers_count; rank++) {
        mcusim_real best = {0, 0};
        int32_t best_at = -1;
        for (int32_t i = 0; i < r->layers_count; i++) {
            mcusim_real score = potential(&r->layers[i]);
            int behind = last_at < 0 || mcusim_real_less(score, last) || (!mcusim_real_less(last, score) && i > last_at);
            if (behind && (best_at < 0 || mcusim_real_less(best, score))) best = score, best_at = i;
        }
        last = best, last_at = best_at;
        const mcusim_chosen *c = &r->layers[best_at];
        uint32_t count = 0;
        for (; count < c->most && affords(c, left); count++) left[0] -= c->cost[0], left[1] -= c->cost[1];
        largest(c, count, 0);
        end_channels(c, count);
    }
}

static void close_stage(const mcusim_choice *r) {
    if (!r->steps_seen || !(*r->steps_seen > 0.0f)) return;
    for (uint32_t i = 0; i < r->layers_count; i++) {
        const mcusim_chosen *c = &r->layers[i];
        for (uint32_t k = 0; k < c->count && c->channels[k] >= 0; k++) {
            c->latest[c->channels[k]] = -(c->sums[k] / *r->steps_seen);
            c->sums[k] = 0.0f;
        }
        if (c->error) {
            c->error[1] = c->error[0] / *r->steps_seen;
            if (c->error[1] > c->error[2]) c->error[2] = c->error[1];
            c->error[0] = 0.0f;
        }
    }
    *r->steps_seen = 0.0f;
}

void mcusim_choose(const void *record, mcusim_state *state) {
    const mcusim_choice *r = (const mcusim_choice *)record;
    uint32_t stage = (uint32_t)state->iteration / r->steps, before = state->stage;
    if (before == stage + 1) return; /* 0, as init and load leave it, says that nothing is chosen yet */
    close_stage(r);
    state->stage = stage + 1;
    if (before && r->network && r->network->resident->write_back(r->network)) return;
    r->choose(r, stage);
    if (r->network) r->network->resident->read(r->network);
}

void mcusim_observe(const void *record, mcusim_state *state) {
    const mcusim_choice *r = (const mcusim_choice *)record;
    *r->steps_seen += (float)state->updating;
}
