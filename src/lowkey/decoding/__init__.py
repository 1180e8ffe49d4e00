"""Search over anything that can step: greedy and beam."""
