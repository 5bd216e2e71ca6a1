/* What runs before main on an emulated core, and the few functions that compilers call by themselves. */
#include <stddef.h>
#include <stdint.h>

extern uint32_t stack_top[], bss_start[], bss_end[];
int main(void);

void *memcpy(void *to, const void *from, size_t n) {
    uint8_t *t = (uint8_t *)to;
    const uint8_t *f = (const uint8_t *)from;
    while (n--) *t++ = *f++;
    return to;
}

void *memset(void *to, int value, size_t n) {
    uint8_t *t = (uint8_t *)to;
    while (n--) *t++ = (uint8_t)value;
    return to;
}

__attribute__((noinline, used)) void twin_end(void) {
    for (;;) __asm volatile("");
}

__attribute__((noreturn, used)) void start(void) {
    for (uint32_t *d = bss_start; d < bss_end;) *d++ = 0;
    main();
    twin_end();
    for (;;) {
    }
}

#ifdef __arm__
__attribute__((naked, noreturn, used)) void Reset_Handler(void) {
#ifdef __ARM_FP
    __asm volatile("ldr r0,=0xE000ED88\n ldr r1,[r0]\n ldr r2,=0xF00000\n orr r1,r1,r2\n str r1,[r0]\n dsb\n isb\n");
#endif
    __asm volatile("bl start\n");
}
__attribute__((section(".vectors"), used)) const void *const vectors[2] = {stack_top, (const void *)Reset_Handler};
#else
__attribute__((naked, noreturn, used, section(".vectors"))) void Reset_Handler(void) {
#ifdef __riscv_flen
    __asm volatile("li t0,0x2000\n csrs mstatus,t0\n");
#endif
    __asm volatile("la sp,stack_top\n call start\n");
}
#endif
