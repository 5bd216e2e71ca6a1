"""Pictures for papers: sized for a column, one set of colours, nothing clipped. Need matplotlib.

- :mod:`mcusim.reporting.pictures.canvas`: sizes, inks and files that all share.
- :mod:`mcusim.reporting.pictures.memory`: live bytes over a step, the map of the arena.
- ``training``, ``comparison``, ``difference``, ``placement``, ``choice``, ``frames``: what a training, a
  comparison, a difference, an allocation problem, a search and a timeline look like.
- :mod:`mcusim.reporting.pictures.picture`: the picture of any result.
"""
