"""Floor 3: what a network learns to do: targets, loss, the work of both on the device, and the metric."""
