"""The dialect of short vectors that compiled kernels are written in."""
