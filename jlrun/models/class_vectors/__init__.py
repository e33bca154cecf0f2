"""Class vectors: descriptions by which classes without training rows can be predicted."""

from jlrun.models.class_vectors.table import (
    ClassVectors,
    Normalization,
    check_distinct,
    class_vectors,
    normalized,
)

__all__ = ["ClassVectors", "Normalization", "check_distinct", "class_vectors", "normalized"]
