/* Keeps what was learned in flash, in two copies in turn: a sequence number, the identity of the network, a length
 * and a checksum say which are whole, and the header is programmed last. Whenever the power fails, the copy before is untouched. */
#include "arithmetic.h"

enum { HEADER = 20, BLOCK = MCUSIM_BLOCK };

uint32_t mcusim_crc(uint32_t crc, const void *data, uint32_t bytes) {
    const uint8_t *d = (const uint8_t *)data;
    crc = ~crc;
    for (uint32_t i = 0; i < bytes; i++) {
        crc ^= d[i];
        for (int b = 0; b < 8; b++) crc = crc >> 1 ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

static void put_word(uint8_t *to, uint32_t value) {
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get(const uint8_t *from) {
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) v |= (uint32_t)from[i] << (8 * i);
    return v;
}

/* The first bytes of a copy but its checksum, which goes on from what is returned. */
static uint32_t begin(const mcusim_network *n, uint8_t *head, uint32_t sequence) {
    head[0] = 'm', head[1] = 'c', head[2] = 'u', head[3] = 'S';
    put_word(head + 4, sequence);
    put_word(head + 8, n->identity);
    put_word(head + 12, n->learned_bytes);
    return mcusim_crc(0, head + 4, 12);
}

static uint32_t units(const mcusim_network *n, uint32_t bytes) {
    return (bytes + n->program_bytes - 1) / n->program_bytes * n->program_bytes;
}

/* The sequence number of a whole copy, and whether this network wrote it; 0: it is none. */
static uint32_t whole(const mcusim_network *n, const mcusim_flash *f, uint32_t copy, int *own) {
    uint8_t head[HEADER], block[BLOCK];
    uint32_t at = copy ? n->copy_bytes : 0, stop = copy ? n->area_bytes : n->copy_bytes, bytes, end;
    *own = 0;
    if (f->read(at, head, HEADER)) return 0;
    if (head[0] != 'm' || head[1] != 'c' || head[2] != 'u' || head[3] != 'S') return 0;
    bytes = get(head + 12);
    uint32_t crc = mcusim_crc(0, head + 4, 12);
    at += units(n, HEADER);
    if (bytes > stop - at) return 0;
    end = at + bytes;
    for (; at < end; at += BLOCK) {
        uint32_t size = end - at < BLOCK ? end - at : BLOCK;
        if (f->read(at, block, size)) return 0;
        crc = mcusim_crc(crc, block, size);
    }
    *own = bytes == n->learned_bytes && get(head + 8) == n->identity;
    return crc == get(head + 16) ? get(head + 4) : 0;
}

static int newest(const mcusim_network *n, const mcusim_flash *f, uint32_t *sequence) {
    int own;
    uint32_t a = whole(n, f, 0, &own);
    if (!own) a = 0;
    uint32_t b = whole(n, f, 1, &own);
    if (!own) b = 0;
    *sequence = a > b ? a : b;
    return !*sequence ? -1 : a > b ? 0 : 1;
}

void mcusim_flush(mcusim_gathered *g) {
    uint32_t size = (g->used + g->unit - 1) / g->unit * g->unit;
    while (g->used < size) g->block[g->used++] = 0xff;
    if (size && g->flash->program(g->at, g->block, size)) g->failed = 1;
    g->at += size;
    g->used = 0;
}

void mcusim_gather(mcusim_gathered *g, const void *data, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        g->block[g->used++] = ((const uint8_t *)data)[i];
        if (g->used == BLOCK) mcusim_flush(g);
    }
}

/* What is written to a copy, and its checksum so far. */
typedef struct {
    mcusim_gathered gathered;
    uint32_t crc;
} kept_stream;

static void append(void *to, const uint8_t *data, uint32_t bytes) {
    kept_stream *s = (kept_stream *)to;
    s->crc = mcusim_crc(s->crc, data, bytes);
    mcusim_gather(&s->gathered, data, bytes);
}

/* Hand over what is learned, piece by piece. */
static void hand_over(const mcusim_network *n, mcusim_taker *take, void *to) {
    uint32_t column = 0;
    for (uint32_t i = 0; i < n->learned_count; i++)
        if (n->learned[i].data)
            take(to, (const uint8_t *)n->learned[i].data, n->learned[i].bytes);
        else
            n->resident->give(n, column++, take, to);
}

int mcusim_save(const mcusim_network *n, const mcusim_flash *f) {
    uint8_t head[HEADER];
    uint32_t sequence;
    int second = newest(n, f, &sequence) == 0;
    uint32_t start = second ? n->copy_bytes : 0, stop = second ? n->area_bytes : n->copy_bytes;
    uint32_t unit = second ? n->second_erase_bytes : n->erase_bytes;
    if (n->resident && !n->resident->now->mapped) return 1;
    for (uint32_t at = start; at < stop; at += unit)
        if (f->erase(at, unit)) return 1;
    kept_stream s; /* field by field: setting all of it to zero first would call a library */
    s.gathered.flash = f, s.gathered.unit = n->program_bytes, s.gathered.used = 0, s.gathered.failed = 0;
    s.gathered.at = start + units(n, HEADER), s.crc = begin(n, head, sequence + 1);
    hand_over(n, append, &s);
    mcusim_flush(&s.gathered);
    put_word(head + 16, s.crc);
    s.gathered.at = start;
    mcusim_gather(&s.gathered, head, HEADER);
    mcusim_flush(&s.gathered);
    if (n->resident && !s.gathered.failed) n->resident->now->copy = n->resident->now->mapped + start + units(n, HEADER);
    return s.gathered.failed;
}

int mcusim_load(const mcusim_network *n, const mcusim_flash *f) {
    uint32_t sequence;
    int copy = newest(n, f, &sequence);
    if (copy < 0 || (n->resident && !n->resident->now->mapped)) return 1;
    uint32_t at = (copy ? n->copy_bytes : 0) + units(n, HEADER);
    for (uint32_t i = 0; i < n->learned_count; at += n->learned[i++].bytes)
        if (n->learned[i].data && f->read(at, n->learned[i].data, n->learned[i].bytes)) return 1;
    if (n->resident) n->resident->now->copy = n->resident->now->mapped + at - n->learned_bytes;
    mcusim_begin_stage(n, n->stage_steps ? (uint32_t)n->state->iteration / n->stage_steps : 0);
    return 0;
}

int mcusim_check(const mcusim_network *n, const mcusim_flash *f) {
    uint32_t sequence;
    int own;
    if (n->format != MCUSIM_FORMAT) return MCUSIM_OTHER_KERNELS;
    if (newest(n, f, &sequence) >= 0) return MCUSIM_OK;
    return whole(n, f, 0, &own) || whole(n, f, 1, &own) ? MCUSIM_OTHER_NETWORK : MCUSIM_NO_COPY;
}

typedef struct {
    int (*write)(const void *data, uint32_t bytes);
    uint32_t crc;
    int failed;
} sender;

static void add(void *to, const uint8_t *data, uint32_t bytes) {
    sender *s = (sender *)to;
    s->crc = mcusim_crc(s->crc, data, bytes);
}

static void pass(void *to, const uint8_t *data, uint32_t bytes) {
    sender *s = (sender *)to;
    s->failed |= s->write(data, bytes);
}

int mcusim_send(const mcusim_network *n, int (*write)(const void *data, uint32_t bytes)) {
    uint8_t head[HEADER];
    const uint8_t erased = 0xff;
    sender s = {write, begin(n, head, 1), 0};
    hand_over(n, add, &s);
    put_word(head + 16, s.crc);
    pass(&s, head, HEADER);
    for (uint32_t i = HEADER; i < units(n, HEADER); i++) pass(&s, &erased, 1);
    hand_over(n, pass, &s);
    return s.failed != 0;
}
