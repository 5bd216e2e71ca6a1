"""Making a network smaller: pruning, refitting, quantising. Knows graphs and files, nothing of training."""
