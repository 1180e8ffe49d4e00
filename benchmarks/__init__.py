"""Side by side with the rivals: one file per claim about speed, and the figures they wrote."""
