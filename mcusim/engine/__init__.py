"""Floor 4: runs a step in the arena, bit-exactly."""
