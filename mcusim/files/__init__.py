"""Beside floor 3: networks come in, from files of every kind, and go out again."""
