"""Comparison of runs: configurations, scores, paired differences over test rows, and curves."""
