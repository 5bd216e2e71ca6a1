"""Floor 3: record, store, replay and export events; needs no network."""
