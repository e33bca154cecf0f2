"""Server of a run's predictions on this machine."""

from jlrun.runs.serving.app import make_app, serve

__all__ = ["make_app", "serve"]
