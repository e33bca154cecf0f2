"""Metrics of tasks with one target per row: exact counts, and sums in float64 over all rows.

`ranks` and `class_counts` are functions of tensors; `accumulators` has the metrics that use them.
"""
