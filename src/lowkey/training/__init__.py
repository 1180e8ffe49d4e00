"""How to fit, never what: the loop, the loss, schedules, the optimizer and checkpoints."""
