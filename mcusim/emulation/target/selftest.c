/* Runs the self test of a network on the emulated core, as a program on a board does, and keeps what it says. */
#include <stdarg.h>

#include "network.h"

#define TWIN __attribute__((section(".twin"), aligned(8)))

TWIN char twin_said[256];
TWIN uint32_t twin_length;

__attribute__((noinline, used)) void twin_wait(void) { __asm volatile(""); }

__attribute__((noinline, used)) void mcusim_after_op(const mcusim_network *network, uint32_t op) {
    __asm volatile("" : : "r"(network), "r"(op));
}

static void put(char c) {
    if (twin_length + 1 < sizeof twin_said) twin_said[twin_length++] = c;
}

/* printf of texts (%s) and of numbers (%lu). */
static int say(const char *format, ...) {
    va_list rest;
    va_start(rest, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
        } else if (*++format == 's') {
            for (const char *text = va_arg(rest, const char *); *text; text++) put(*text);
        } else {
            unsigned long number = va_arg(rest, unsigned long), unit = 1;
            format++;
            while (number / unit >= 10) unit *= 10;
            for (; unit; unit /= 10) put((char)('0' + number / unit % 10));
        }
    }
    va_end(rest);
    return 0;
}

int main(void) {
    mcusim_selftest(&NETWORK, &EXPECTED, say);
    twin_wait();
    return 0;
}
