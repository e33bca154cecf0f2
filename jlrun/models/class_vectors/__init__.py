"""Vectors that describe classes, by which classes without a training row can be told apart."""

from jlrun.models.class_vectors.table import (
    ClassVectors,
    Normalization,
    class_vectors,
    normalized,
    refuse_equal,
)

__all__ = ["ClassVectors", "Normalization", "class_vectors", "normalized", "refuse_equal"]
