"""Encoders: one modality's inputs to features."""

from jlrun.encoders.base import Encoder
from jlrun.encoders.cnn import Cnn

__all__ = ["Cnn", "Encoder"]
