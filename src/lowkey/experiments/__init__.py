"""One file, one experiment, read from top to bottom."""
