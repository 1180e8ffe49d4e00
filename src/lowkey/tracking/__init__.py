"""Where the numbers of a run go: JSON Lines always, TensorBoard and Weights & Biases if asked."""
