"""Deciding what a session needs: settings, placement, cost, suggestions. Needs no data."""
