"""Studies: many runs of one question, planned first, trained where there is room, kept in one folder."""
