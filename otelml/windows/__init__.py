"""The sliding window of each model in this process: its figures, its thresholds, and who is told."""
