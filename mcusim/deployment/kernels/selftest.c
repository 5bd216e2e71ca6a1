/* One step on a made-up example, op by op, against checksums of what the simulator computed. */
#include "arithmetic.h"

/* Bytes that no two neighbours share, as int8 below a number of values, or as float32 between -2 and 2. */
static void make_up(const mcusim_made_up *m) {
    for (uint32_t i = 0; i < (m->type == MCUSIM_FLOAT32 ? m->bytes / 4u : m->bytes); i++) {
        uint32_t v = (i * 37u + 11u) & 255u;
        if (m->type == MCUSIM_FLOAT32)
            ((float *)m->data)[i] = (float)((int32_t)v - 128) * 0.015625f;
        else
            ((uint8_t *)m->data)[i] = (uint8_t)(v % m->values);
    }
}

static int same(const mcusim_sum *s) { return mcusim_crc(0, s->data, s->bytes) == s->crc; }

static int learned_alike(const mcusim_network *n, const mcusim_expected *e, int (*print)(const char *, ...)) {
    uint32_t at = 0;
    mcusim_init(n);
    for (uint32_t i = 0; i < e->example_count; i++) make_up(&e->example[i]);
    n->state->label.number = 0;
    if (n->goals) n->state->label.each = NULL;
    for (uint32_t op = 0; op < n->ops_count; op++) {
        n->ops[op].run(n->ops[op].record, n->state);
        for (; at < e->sums_count && e->sums[at].op == op; at++)
            if (!same(&e->sums[at])) {
                print("%s: FAIL at op %lu %s%s\n", n->name, (unsigned long)op, n->names ? n->names[op] : "",
                      e->sums[at].data == &n->state->loss ? ": the loss" : "");
                return 1;
            }
    }
    print("%s: PASS, %lu ops as in mcusim %s\n", n->name, (unsigned long)n->ops_count, n->version);
    return 0;
}

int mcusim_selftest(const mcusim_network *n, const mcusim_expected *e, int (*print)(const char *format, ...)) {
    for (uint32_t i = 0; i < e->constants_count; i++)
        if (!same(&e->constants[i])) {
            print("%s: FAIL, table %lu of constants in flash is another\n", n->name, (unsigned long)i);
            return 1;
        }
    int failed = learned_alike(n, e, print);
    mcusim_init(n);
    return failed;
}
