/* Weights that learn and live in flash: kernels read the copy that is in force, and over it lie the channels that learn,
 * in SRAM. When a stage ends, the other copy is written as mcusim_save writes it, whole and power-safe; then it is in
 * force, and the channels of the next stage come out of it. */
#include "arithmetic.h"

/* Take one run of elements after another in the order of the whole weight, each with its place in SRAM or -1. */
typedef void visitor(const mcusim_columns *c, uint32_t element, int32_t place, void *with);

static void visit(const mcusim_columns *c, visitor *each, void *with) {
    uint32_t learning = mcusim_learning(c->channels, c->count), outputs = (uint32_t)c->outputs / c->groups;
    uint32_t depth = c->depthwise ? 1u : (uint32_t)c->inputs / c->groups, element = 0;
    uint32_t lines = c->depthwise ? c->taps : (uint32_t)c->outputs * c->taps;
    uint32_t length = c->depthwise ? c->outputs : depth;
    for (uint32_t line = 0; line < lines; line++) {
        uint32_t own = line / c->taps, tap = c->depthwise ? line : line % c->taps, s = 0;
        for (uint32_t k = 0; k < length; k++, element++) {
            uint32_t channel = c->depthwise ? k / outputs : own / outputs * depth + k;
            uint32_t output = (c->depthwise ? k : own) % outputs;
            while (s < learning && (uint32_t)c->channels[s] < channel) s++;
            int learns = s < learning && (uint32_t)c->channels[s] == channel;
            each(c, element, learns ? (int32_t)((s * c->taps + tap) * outputs + output) : -1, with);
        }
    }
}

typedef struct {
    const uint8_t *copy;
    mcusim_taker *take;
    void *to;
} overlaying;

static void give_one(const mcusim_columns *c, uint32_t element, int32_t place, void *with) {
    const overlaying *o = (const overlaying *)with;
    const uint8_t *from = o->copy + c->at + element * c->bytes;
    if (place >= 0) from = (const uint8_t *)c->columns + (uint32_t)place * c->bytes;
    o->take(o->to, from, c->bytes);
}

/* What is learned of one weight, as the next copy will hold it. */
void mcusim_give_columns(const mcusim_network *n, uint32_t number, mcusim_taker *take, void *to) {
    overlaying o = {n->resident->now->copy, take, to};
    visit(&n->resident->columns[number], give_one, &o);
}

static void read_one(const mcusim_columns *c, uint32_t element, int32_t place, void *with) {
    const uint8_t *copy = *(const uint8_t *const *)with;
    if (place >= 0)
        mcusim_copied((uint8_t *)c->columns + (uint32_t)place * c->bytes, copy + c->at + element * c->bytes, c->bytes);
}

/* Take the channels that learn now out of the copy that is in force. */
void mcusim_read_columns(const mcusim_network *n) {
    for (uint32_t i = 0; i < n->resident->columns_count; i++)
        visit(&n->resident->columns[i], read_one, (void *)&n->resident->now->copy);
}

int mcusim_write_back(const mcusim_network *n) {
    mcusim_residence *now = n->resident->now;
    now->failed = !now->flash || mcusim_save(n, now->flash);
    return now->failed;
}

void mcusim_convolution_in_flash(const void *record, mcusim_state *state) {
    const mcusim_homed_convolution *r = (const mcusim_homed_convolution *)record;
    mcusim_convolution own;
    mcusim_copied(&own, &r->convolution, sizeof own);
    own.weight = (const int8_t *)(r->home.now->copy + r->home.at);
    own.count = (uint16_t)mcusim_learning(own.channels, own.count);
    r->home.run(&own, state);
}

void mcusim_dense_in_flash(const void *record, mcusim_state *state) {
    const mcusim_homed_dense *r = (const mcusim_homed_dense *)record;
    mcusim_overlaid_dense own;
    mcusim_copied(&own, &r->overlaid, sizeof own);
    own.dense.weight = r->home.now->copy + r->home.at;
    r->home.run(&own, state);
}

void mcusim_grad_input_in_flash(const void *record, mcusim_state *state) {
    const mcusim_homed_grad_input *r = (const mcusim_homed_grad_input *)record;
    mcusim_grad_input own;
    mcusim_copied(&own, &r->grad_input, sizeof own);
    own.weight = r->home.now->copy + r->home.at;
    own.count = (uint16_t)mcusim_learning(own.channels, own.count);
    r->home.run(&own, state);
}
