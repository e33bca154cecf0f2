"""Vectors that describe classes, by which classes without a training row can be told apart."""

from jlrun.models.class_vectors.table import (
    ClassVectors,
    Normalization,
    check_distinct,
    class_vectors,
    normalized,
)

__all__ = ["ClassVectors", "Normalization", "check_distinct", "class_vectors", "normalized"]
