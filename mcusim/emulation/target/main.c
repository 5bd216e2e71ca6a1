/* Runs what the twin asks for: it writes the box and the arena while the core waits. */
#include "network.h"

/* Apart from the firmware's own statics, which are counted. */
#define TWIN __attribute__((section(".twin"), aligned(8)))

TWIN volatile struct {
    uint32_t command, label, argument;
    float rates[16];
} twin_box;
TWIN float twin_rates[16];
TWIN uint8_t twin_input[INPUT_BYTES]; /* calibrating reads the input again and again */

enum { LEARN, CALIBRATE, STAGE, END };

__attribute__((noinline, used)) void twin_wait(void) { __asm volatile(""); }

__attribute__((noinline, used)) void mcusim_after_op(const mcusim_network *network, uint32_t op) {
    __asm volatile("" : : "r"(network), "r"(op));
}

int main(void) {
    const mcusim_network *n = &NETWORK;
    mcusim_init(n);
    for (;;) {
        twin_wait();
        for (int i = 0; i < 16; i++) twin_rates[i] = twin_box.rates[i];
        mcusim_set_rates(n, twin_rates);
        if (twin_box.command == END) return 0;
        if (twin_box.command == STAGE) mcusim_stage(n, twin_box.argument);
        if (twin_box.command == CALIBRATE) mcusim_calibrate(n, twin_input, twin_box.label);
        if (twin_box.command == LEARN) {
            if (n->target)
                mcusim_train_target(n, n->input, n->target);
            else
                mcusim_train(n, n->input, twin_box.label);
        }
    }
}
