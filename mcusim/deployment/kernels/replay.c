/* Keeps examples and learns them again. Which are kept, and which are learned, is drawn as in mcusim/data/replay.py.
 *
 * In flash they are in a ring of blocks, as in mcusim/mcu/flash/ring.py: a new one goes to the next erased place, and
 * when the last erased block is begun, what lives in the oldest moves there and that is erased. Where each example is
 * stands in SRAM. */
#include "arithmetic.h"

enum { OFFERED, DRAWN, BEGUN, USED };
enum { NOWHERE = -1 };

/* The high word of what is drawn for a chain of keys. */
static uint32_t drawn_by(const mcusim_replay *r, const uint32_t *keys, uint32_t count) {
    uint64_t state = mcusim_mix(r->seed + MCUSIM_GOLDEN);
    for (uint32_t i = 0; i < count; i++) state = mcusim_mix((state ^ keys[i]) + MCUSIM_GOLDEN);
    return (uint32_t)(state >> 32);
}

static uint32_t kept(const mcusim_replay *r, uint32_t offered) { return offered < r->capacity ? offered : r->capacity; }

static uint32_t address(const mcusim_replay *r, int32_t place) {
    return (uint32_t)place / r->per_block * r->block_bytes + (uint32_t)place % r->per_block * r->record_bytes;
}

static uint32_t example_bytes(const mcusim_replay *r) {
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < r->parts_count; i++) bytes += r->parts[i].bytes;
    return bytes;
}

static void copy_bytes(uint8_t *to, const uint8_t *from, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) to[i] = from[i];
}

/* Read bytes of the record in a slot; 0 if it worked. */
static int read_record(const mcusim_replay *r, uint32_t slot, uint32_t at, void *to, uint32_t bytes) {
    if (r->records) {
        copy_bytes((uint8_t *)to, r->records + slot * r->record_bytes + at, bytes);
        return 0;
    }
    return r->places[slot] == NOWHERE || (*r->flash)->read(address(r, r->places[slot]) + at, to, bytes);
}

static uint32_t label_of(const mcusim_replay *r, uint32_t slot) {
    uint8_t label[2] = {0, 0};
    (void)read_record(r, slot, example_bytes(r), label, r->label_bytes);
    return label[0] | (uint32_t)label[1] << 8;
}

/* The slot of the largest class that an example takes; -1: it is not kept. A class that has as many as any takes the
 * slot of one of its own, as a reservoir of it would. */
static int32_t balanced_slot(const mcusim_replay *r, uint32_t offered, uint32_t word, uint32_t label) {
    uint32_t most = 0, number;
    for (uint32_t c = 0; c < r->classes_count; c++) r->classes[c] = 0;
    for (uint32_t slot = 0; slot < r->capacity; slot++) r->classes[label_of(r, slot)]++;
    for (uint32_t c = 1; c < r->classes_count; c++)
        if (r->classes[c] > r->classes[most]) most = c;
    if (r->classes[label] == r->classes[most]) {
        if (word % offered >= r->capacity) return -1;
        most = label;
    }
    number = word % r->classes[most];
    for (uint32_t slot = 0; slot < r->capacity; slot++)
        if (label_of(r, slot) == most && number-- == 0) return (int32_t)slot;
    return -1;
}

static int32_t slot_for(const mcusim_replay *r, uint32_t offered, uint32_t label) {
    const uint32_t keys[2] = {offered, 0};
    uint32_t word = drawn_by(r, keys, 2) >> 2; /* below 2^30 */
    if (offered <= r->capacity) return (int32_t)offered - 1;
    if (r->policy == MCUSIM_FIFO) return (int32_t)((offered - 1) % r->capacity);
    if (r->policy == MCUSIM_BALANCED) return balanced_slot(r, offered, word, label);
    return word % offered < r->capacity ? (int32_t)(word % offered) : -1;
}

/* Begin to gather a record at the next erased place of the newest block; return the place. */
static int32_t next_place(const mcusim_replay *r, mcusim_gathered *g) {
    int32_t place = (int32_t)(r->counters[BEGUN] % r->blocks * r->per_block + r->counters[USED]);
    g->flash = *r->flash, g->unit = r->program_bytes, g->used = 0, g->failed = 0;
    g->at = address(r, place);
    r->counters[USED]++;
    return place;
}

/* Write what lives in a block to the newest one. */
static int move_block(const mcusim_replay *r, uint32_t block) {
    mcusim_gathered g;
    uint8_t some[16];
    int failed = 0;
    for (uint32_t slot = 0; slot < kept(r, r->counters[OFFERED]); slot++) {
        if (r->places[slot] == NOWHERE || (uint32_t)r->places[slot] / r->per_block != block) continue;
        int32_t place = next_place(r, &g);
        for (uint32_t at = 0; at < r->record_bytes; at += sizeof some) {
            uint32_t size = r->record_bytes - at < sizeof some ? r->record_bytes - at : (uint32_t)sizeof some;
            failed |= read_record(r, slot, at, some, size);
            mcusim_gather(&g, some, size);
        }
        mcusim_flush(&g);
        failed |= g.failed;
        r->places[slot] = (int16_t)place;
    }
    return failed;
}

static int erase_block(const mcusim_replay *r, uint32_t block) {
    int failed = 0;
    for (uint32_t at = 0; at < r->block_bytes; at += r->erase_bytes)
        failed |= (*r->flash)->erase(block * r->block_bytes + at, r->erase_bytes);
    return failed;
}

/* Go on in the next block; if it is the last erased one, move what lives in the oldest there. */
static int begin_block(const mcusim_replay *r) {
    r->counters[BEGUN]++;
    r->counters[USED] = 0;
    if (r->counters[BEGUN] + 1 < r->blocks) return 0;
    uint32_t oldest = (r->counters[BEGUN] + 1) % r->blocks;
    int failed = move_block(r, oldest);
    return erase_block(r, oldest) || failed;
}

static void write_to_flash(const mcusim_replay *r, uint32_t slot, const uint8_t *label, mcusim_state *state) {
    mcusim_gathered g;
    int failed = 0;
    r->places[slot] = NOWHERE;
    while (r->counters[USED] == r->per_block) failed |= begin_block(r);
    int32_t place = next_place(r, &g);
    for (uint32_t i = 0; i < r->parts_count; i++) mcusim_gather(&g, r->parts[i].data, r->parts[i].bytes);
    mcusim_gather(&g, label, r->label_bytes);
    mcusim_flush(&g);
    r->places[slot] = (int16_t)place;
    if (failed || g.failed) state->unkept = 1;
}

static void keep_example(const mcusim_replay *r, mcusim_state *state) {
    uint32_t number = state->label.number, offered = r->counters[OFFERED] + 1;
    const uint8_t label[2] = {(uint8_t)number, (uint8_t)(number >> 8)};
    int32_t slot = slot_for(r, offered, number);
    r->counters[OFFERED] = offered;
    r->counters[DRAWN] = 0;
    if (slot < 0) return;
    if (!r->records) {
        write_to_flash(r, (uint32_t)slot, label, state);
        return;
    }
    uint8_t *to = r->records + (uint32_t)slot * r->record_bytes;
    for (uint32_t i = 0; i < r->parts_count; to += r->parts[i++].bytes)
        copy_bytes(to, (const uint8_t *)r->parts[i].data, r->parts[i].bytes);
    copy_bytes(to, label, r->label_bytes);
}

/* Put one that was kept back to where it was. */
static void restore(const mcusim_replay *r, mcusim_state *state) {
    const uint32_t keys[3] = {r->counters[OFFERED], 1, r->counters[DRAWN]};
    uint32_t slot = (uint32_t)((uint64_t)drawn_by(r, keys, 3) * kept(r, keys[0]) >> 32), at = 0;
    r->counters[DRAWN]++;
    for (uint32_t i = 0; i < r->parts_count; at += r->parts[i++].bytes)
        if (read_record(r, slot, at, r->parts[i].data, r->parts[i].bytes)) state->unkept = 1;
    state->label.number = label_of(r, slot);
}

void mcusim_replay_example(const void *record, mcusim_state *state) {
    const mcusim_replay *r = (const mcusim_replay *)record;
    int possible = r->records || *r->flash;
    if (state->replay == MCUSIM_AGAIN) restore(r, state);
    if (state->replay == MCUSIM_KEEP && possible) keep_example(r, state);
}

float mcusim_train_again(const mcusim_network *n) {
    const mcusim_replay *r = (const mcusim_replay *)n->ops[n->replay_op].record;
    if (!n->replay_op || !r->counters[OFFERED]) return -1.0f;
    n->state->replay = MCUSIM_AGAIN;
    return mcusim_learn_from(n, n->replay_op);
}

static int is_erased(const mcusim_flash *f, uint32_t at, uint32_t bytes, int *failed) {
    uint8_t some[16];
    for (uint32_t end = at + bytes; at < end; at += sizeof some) {
        uint32_t size = end - at < sizeof some ? end - at : (uint32_t)sizeof some;
        *failed |= f->read(at, some, size);
        for (uint32_t i = 0; i < size; i++)
            if (some[i] != 0xff) return 0;
    }
    return 1;
}

int mcusim_keep_in(const mcusim_network *n, const mcusim_flash *flash) {
    const mcusim_replay *r = (const mcusim_replay *)n->ops[n->replay_op].record;
    int failed = 0;
    if (!n->replay_op || r->records) return 1;
    *r->flash = flash;
    for (uint32_t i = 0; i < 4; i++) r->counters[i] = 0;
    for (uint32_t b = 0; b < r->blocks; b++)
        if (!is_erased(flash, b * r->block_bytes, r->block_bytes, &failed)) failed |= erase_block(r, b);
    return failed;
}
