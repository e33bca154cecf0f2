"""Which source to transfer from: measures of transferability, and candidates ranked by them.

The measures (`logme`, `leep`, `nce`, `h_score`, `transrate`) are pure functions of NumPy arrays.
"""
