"""Runs that differ in little train as one: their parameters are stacked."""
