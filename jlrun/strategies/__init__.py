"""Trainers: each turns a config into a plan of phases."""
