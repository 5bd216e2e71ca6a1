"""Compiled update rules, one module a way of rounding; ``number_formats`` says what each has to compute."""
