"""Cross-validation: a run for each fold, one result of all, and predictions of every row."""

from jlrun.runs.folds.cross_validation import cross_validate, resume_folds

__all__ = ["cross_validate", "resume_folds"]
