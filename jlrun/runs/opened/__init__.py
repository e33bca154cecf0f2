"""Runs, sweeps and studies opened from their folders, for notebooks and programs.

`jlrun.load`, `jlrun.sweep` and `jlrun.study` return what is in here.
"""
