"""PyTorch modules and exported programs, read as float graphs."""
