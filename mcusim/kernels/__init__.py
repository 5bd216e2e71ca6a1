"""Floor 2: integer arithmetic as functions over arrays. Each fast kernel has a slow, obvious twin."""
