"""Runs on the Hugging Face Hub: what of a run is pushed there, and how it is pulled and checked."""

from jlrun.runs.hub.client import hub_library
from jlrun.runs.hub.pulling import pull
from jlrun.runs.hub.pushing import Pushed, push, sizes, staged

__all__ = ["Pushed", "hub_library", "pull", "push", "sizes", "staged"]
