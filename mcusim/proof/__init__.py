"""Certificates of a plan, and the checker that needs nothing else of this package."""
