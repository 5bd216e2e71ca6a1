"""The firmware twin: the C of a plan, compiled, run on an emulated core, compared with the engine."""
