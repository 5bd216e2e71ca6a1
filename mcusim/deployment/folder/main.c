/* Learns from one input and prints the cycles of every op as CSV, which mcusim calibrate reads.
 *
 * Give it your board's clock and printf; the counter below is that of Cortex-M3 and later, or of RISC-V. */
#include <stdio.h>

#include "model/@PREFIX@.h"
#include "model/@PREFIX@_works.h"

#if defined(__ARM_ARCH) && defined(__thumb__)
#define DEMCR (*(volatile uint32_t *)0xE000EDFCu)
#define DWT_CTRL (*(volatile uint32_t *)0xE0001000u)
#define DWT_CYCCNT (*(volatile uint32_t *)0xE0001004u)
static void begin(void) {
    DEMCR |= 1u << 24;
    DWT_CTRL |= 1u;
}
static uint32_t now(void) { return DWT_CYCCNT; }
#elif defined(__riscv)
static void begin(void) {}
static uint32_t now(void) {
    uint32_t c;
    __asm volatile("csrr %0, mcycle" : "=r"(c));
    return c;
}
#else
#include <time.h>
static void begin(void) {}
static uint32_t now(void) { return (uint32_t)clock(); } /* ticks of this computer's clock, not cycles */
#endif

static uint32_t before, cycles[@UPPER@_OPS];
@BUFFERS@
void mcusim_after_op(const mcusim_network *network, uint32_t op) {
    (void)network;
    cycles[op] = now() - before;
    before = now();
}

int main(void) {
    mcusim_init(&@PREFIX@);
    begin();
    before = now();
    @MEASURED@;
    printf("%s,cycles\n", @PREFIX@_work_columns);
    for (unsigned i = 0; i < @UPPER@_OPS; i++)
        if (@PREFIX@_works[i]) printf("%s,%lu\n", @PREFIX@_works[i], (unsigned long)cycles[i]);
    return 0;
}
