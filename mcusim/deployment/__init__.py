"""The step of a plan as CText: kernels written by hand, and the tables that tell them what to do."""
