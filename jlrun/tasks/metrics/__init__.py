"""Metrics of tasks with one target per row: exact counts, and sums in float64 over all rows.

`ranks`, `class_counts` and `regression` are functions of tensors; the others keep what these need
as metrics of torchmetrics. They are apart from `jlrun.tasks`, since importing torchmetrics takes
longer than a small run's epoch.
"""
