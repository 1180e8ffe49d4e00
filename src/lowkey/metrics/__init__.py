"""How good predictions are, and how sure that is: scores with 95 % intervals, paired tests."""
