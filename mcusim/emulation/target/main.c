/* Runs what the twin asks for: it writes the box and the arena while the core waits. */
#include "network.h"

/* Apart from the firmware's own statics, which are counted. */
#define TWIN __attribute__((section(".twin"), aligned(8)))

TWIN volatile struct {
    uint32_t command, label, argument;
    float rates[16];
    uint32_t result, operations;
    uint32_t labels[16];
    uint32_t supply;
} twin_box;
TWIN float twin_rates[16];
TWIN uint8_t twin_input[INPUT_BYTES]; /* calibrating reads the input again and again */

enum { LEARN, CALIBRATE, STAGE, END, SAVE, LOAD, SEE, AGAIN };

#ifdef SEVERAL
TWIN uint32_t twin_labels[16]; /* of a network with several inputs, or outputs that learn */
static const void *const twin_there[16]; /* everything is in its place already */
#endif

/* Flash in memory whose supply fails after twin_box.supply operations: the next one is done by half, and none
 * after it. An erased sector, or a programmed unit, is one operation. */
TWIN uint8_t twin_flash[AREA_BYTES];

static int fails(void) { return twin_box.operations > twin_box.supply; }

static int flash_read(uint32_t offset, void *to, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) ((uint8_t *)to)[i] = twin_flash[offset + i];
    return 0;
}

static int flash_erase(uint32_t offset, uint32_t bytes) {
    twin_box.operations++;
    if (twin_box.operations > twin_box.supply + 1) return 1;
    for (uint32_t i = 0; i < bytes; i++) twin_flash[offset + i] = fails() ? (uint8_t)(i * 37 + 11) : 0xff;
    return fails();
}

static int flash_program(uint32_t offset, const void *from, uint32_t bytes) {
    uint32_t unit = (&NETWORK)->program_bytes;
    for (uint32_t i = 0; i < bytes; i++) {
        if (i % unit == 0) twin_box.operations++;
        if (twin_box.operations > twin_box.supply + 1) return 1;
        uint8_t value = ((const uint8_t *)from)[i];
        twin_flash[offset + i] &= (uint8_t)(fails() ? value | (i * 85 + 1) : value);
    }
    return fails();
}

static const mcusim_flash flash = {flash_read, flash_erase, flash_program};

#ifdef REPLAY_AREA_BYTES /* of examples that are kept, and what was done to it */
TWIN uint8_t twin_kept[REPLAY_AREA_BYTES];
TWIN uint32_t twin_erased, twin_programmed;

static int kept_read(uint32_t offset, void *to, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) ((uint8_t *)to)[i] = twin_kept[offset + i];
    return 0;
}

static int kept_erase(uint32_t offset, uint32_t bytes) {
    twin_erased++;
    for (uint32_t i = 0; i < bytes; i++) twin_kept[offset + i] = 0xff;
    return 0;
}

static int kept_program(uint32_t offset, const void *from, uint32_t bytes) {
    twin_programmed += bytes / (&NETWORK)->program_bytes;
    for (uint32_t i = 0; i < bytes; i++) twin_kept[offset + i] &= ((const uint8_t *)from)[i];
    return 0;
}

static const mcusim_flash kept_flash = {kept_read, kept_erase, kept_program};
#endif

__attribute__((noinline, used)) void twin_wait(void) { __asm volatile(""); }

__attribute__((noinline, used)) void mcusim_after_op(const mcusim_network *network, uint32_t op) {
    __asm volatile("" : : "r"(network), "r"(op));
}

int main(void) {
    const mcusim_network *n = &NETWORK;
    mcusim_write_to(n, &flash, twin_flash);
    mcusim_init(n);
#ifdef REPLAY_AREA_BYTES
    kept_erase(0, REPLAY_AREA_BYTES); /* as it comes */
    twin_erased = twin_programmed = 0;
    twin_box.result = (uint32_t)mcusim_keep_in(n, &kept_flash);
#endif
    for (;;) {
        twin_wait();
        for (int i = 0; i < 16; i++) twin_rates[i] = twin_box.rates[i];
        mcusim_set_rates(n, twin_rates);
        if (twin_box.command == END) return 0;
        if (twin_box.command == STAGE) twin_box.result = (uint32_t)mcusim_stage(n, twin_box.argument);
        if (twin_box.command == SAVE) twin_box.result = (uint32_t)mcusim_save(n, &flash);
        if (twin_box.command == LOAD) twin_box.result = (uint32_t)mcusim_load(n, &flash);
#ifdef REPLAYS
        if (twin_box.command == AGAIN) mcusim_train_again(n);
#endif
#ifdef STATES /* a sequence begins with the input to which the argument belongs, or goes on */
        int step = twin_box.command == SEE || twin_box.command == LEARN || twin_box.command == CALIBRATE;
        if (step && twin_box.argument) mcusim_begin(n);
        if (twin_box.command == SEE) mcusim_infer(n, n->input);
#endif
#ifdef SEVERAL
        for (int i = 0; i < 16; i++) twin_labels[i] = twin_box.labels[i];
        if (twin_box.command == CALIBRATE) mcusim_calibrate_several(n, twin_there, twin_labels, twin_there);
        if (twin_box.command == LEARN) mcusim_train_several(n, twin_there, twin_labels, twin_there);
#else
        if (twin_box.command == CALIBRATE) mcusim_calibrate(n, twin_input, twin_box.label);
        if (twin_box.command == LEARN) {
            if (n->target)
                mcusim_train_target(n, n->input, n->target);
            else
                mcusim_train(n, n->input, twin_box.label);
        }
#endif
    }
}
