"""Trained models on strings: what ``lowkey predict`` and ``lowkey.load`` use."""
