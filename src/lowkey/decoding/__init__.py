"""Search over anything that can step: greedy, beam and sampling."""
