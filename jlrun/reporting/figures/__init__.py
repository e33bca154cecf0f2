"""Pictures of runs: curves, confusion matrices, sample predictions.

Drawn on `matplotlib.figure.Figure` objects of their own: no window, no global setting is touched.
"""
