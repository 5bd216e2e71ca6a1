"""Kernels compiled by numba, each equal to its slow twin in ``kernels.reference``."""
