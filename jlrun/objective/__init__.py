"""Objective: how losses become an update."""
