"""Floor 8: tables, explanations, differences and plots, as pure functions of plans, runs and events."""
