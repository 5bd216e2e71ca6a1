"""Floor 5: runs a step in the arena, bit-exactly."""
