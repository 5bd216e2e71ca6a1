/* Learns one step on a made-up example and compares every op with what the simulator computed.
 *
 * Give it your board's printf. */
#include <stdio.h>

#include "model/@PREFIX@.h"

int main(void) { return mcusim_selftest(&@PREFIX@, &@PREFIX@_expected, printf); }
