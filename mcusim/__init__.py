"""mcusim: a memory-accurate simulator of training on microcontrollers."""

__version__ = "0.1.0"
