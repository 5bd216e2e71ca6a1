"""Floor 4: from a network and what learns in it to the ops and tensors of a training step."""
