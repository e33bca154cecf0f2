"""Reference models: what scikit-learn predicts from the cells and texts of a table.

Each task is predicted by the class frequencies or the mean (`majority`, `mean`), by boosted trees
on the cells (`boosted_cells`), by linear models on the cells (`linear_cells`), on TF-IDF weights of
the texts (`linear_text`) and on both next to each other (`linear_all`), and by boosted trees on the
cells and the predictions of `linear_text` (`boosted_all`). Settings, and the model that stands for
the task, are chosen on the validation rows.
"""

from jlrun.evaluation.references.fitting import ReferenceModel, TaskReference, fit_references
from jlrun.evaluation.references.inputs import TableInputs
from jlrun.evaluation.references.rows import ReferenceRows, SplitRows

__all__ = [
    "ReferenceModel",
    "ReferenceRows",
    "SplitRows",
    "TableInputs",
    "TaskReference",
    "fit_references",
]
