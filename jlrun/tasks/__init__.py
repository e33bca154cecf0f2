"""Tasks: how many outputs a head has, its loss, its predictions and its metrics.

Heads yield logits of shape ``(B, num_outputs)``; those of dense tasks, maps
``(B, num_outputs, h, w)``.
"""

from jlrun.tasks.base import SMALLER_IS_BETTER, Metric, Task, TaskSpec
from jlrun.tasks.classification import Binary, Multiclass, Multilabel, classification_metrics
from jlrun.tasks.dense import Depth, Segmentation, SurfaceNormals
from jlrun.tasks.objective import Objective
from jlrun.tasks.ordinal import Ordinal
from jlrun.tasks.regression import Regression
from jlrun.tasks.target_scales import Scale

__all__ = [
    "SMALLER_IS_BETTER",
    "Binary",
    "Depth",
    "Metric",
    "Multiclass",
    "Multilabel",
    "Objective",
    "Ordinal",
    "Regression",
    "Scale",
    "Segmentation",
    "SurfaceNormals",
    "Task",
    "TaskSpec",
    "classification_metrics",
]
