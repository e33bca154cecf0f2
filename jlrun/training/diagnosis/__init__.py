"""Diagnosis of task interaction: conflicting gradients, and inter-task affinity."""
