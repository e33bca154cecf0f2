"""Tasks: how many outputs a head has, its loss, its predictions and its metrics.

Heads yield logits of shape ``(B, num_outputs)``; those of dense tasks, maps
``(B, num_outputs, h, w)``.
"""

from jlrun.tasks.base import SMALLER_IS_BETTER, Task, TaskSpec
from jlrun.tasks.classification import Binary, Multiclass, classification_metrics
from jlrun.tasks.depth import Depth
from jlrun.tasks.multilabel import Multilabel
from jlrun.tasks.ordinal import Ordinal
from jlrun.tasks.regression import Regression
from jlrun.tasks.segmentation import Segmentation
from jlrun.tasks.surface_normals import SurfaceNormals

__all__ = [
    "SMALLER_IS_BETTER",
    "Binary",
    "Depth",
    "Multiclass",
    "Multilabel",
    "Ordinal",
    "Regression",
    "Segmentation",
    "SurfaceNormals",
    "Task",
    "TaskSpec",
    "classification_metrics",
]
