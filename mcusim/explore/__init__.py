"""Many plans or trainings beside each other: comparison, search, sensitivity."""
