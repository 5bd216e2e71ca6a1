"""What happens at the same time: frames, sleep, write-backs, on a simulated clock."""
