"""Tensors in, tensors out: the parts both models are built from. Knows torch only."""
