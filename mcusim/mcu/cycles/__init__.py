"""What a step costs in cycles: terms, profiles, calibration."""
