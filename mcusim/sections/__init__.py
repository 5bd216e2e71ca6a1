"""Floor 1: what is said about plans, runs and traces as data (sections), and the renderers of it.

Who knows something hands over sections; who shows something takes any. A new fact is one line where it is
known and appears in text, in the terminal, in notebooks and on the page.
"""
