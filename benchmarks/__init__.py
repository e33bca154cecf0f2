"""Measurements: how fast jlrun is against what one writes by hand, and tables of its methods."""
