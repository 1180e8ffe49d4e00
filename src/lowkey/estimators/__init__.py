"""The program as scikit-learn's users know it: fit, predict, score, and search over parameters."""
