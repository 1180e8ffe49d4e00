"""Text to batches: where the rows come from, how they become ids, and which go together."""
