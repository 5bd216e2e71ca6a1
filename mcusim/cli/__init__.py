"""Floor 9: the command line, one small file a verb."""
