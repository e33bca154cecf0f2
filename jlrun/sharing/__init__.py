"""Sharing: what of a model its tasks have in common."""

from jlrun.sharing.base import Cut, FeatureSharing, Representation, Sharing
from jlrun.sharing.hard import Hard

__all__ = ["Cut", "FeatureSharing", "Hard", "Representation", "Sharing"]
