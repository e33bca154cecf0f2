"""Warm start: weights from another run or another library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jlrun.data.specs import Spec, spec_from_json
from jlrun.errors import UserError
from jlrun.files.atomic import read_json, reading
from jlrun.files.run_directory import RunDirectory
from jlrun.models.joint_model import JointModel
from jlrun.models.weight_files import LoadReport, load_weights


class PretrainedInit:
    """Loader of the weights of a file into a new model wherever names and shapes match.

    Args:
        key: ``run`` or ``weights``, for errors.
        path: the run directory (its selected weights are taken), or the file.

    Attributes:
        report: the last report of loaded and skipped tensors; None before.
    """

    def __init__(self, key: str, path: Path) -> None:
        self._key, self._path = key, path
        self.report: LoadReport | None = None

    @classmethod
    def of(cls, start: Mapping[str, str]) -> PretrainedInit | None:
        """Return the warm start of ``{key: path}``; None of an empty mapping."""
        return next((cls(key, Path(path).expanduser()) for key, path in start.items()), None)

    def __call__(self, model: JointModel) -> None:
        """Load the weights that match.

        Raises:
            UserError: if there is no such run or file, or nothing in it matches the body: heads
                depend on the body they were trained with.
        """
        where = f"source.{self._key}"
        self.report = load_weights(model, self._file(), where)
        if not any(name.startswith("body.") for name in self.report.loaded):
            raise UserError.of(
                where,
                f"of '{self._path}' only {', '.join(self.report.loaded)} fits, and nothing of the "
                "body, on whose features that was trained; choose the backbone, fusion and sharing "
                "of that run",
            )

    def specs(self) -> dict[str, Spec]:
        """Return modality -> spec of the saved model's input, for a run."""
        file = RunDirectory(self._path).model
        if self._key != "run" or not file.exists():
            return {}
        with reading(file):
            return {m: spec_from_json(s) for m, s in read_json(file)["modalities"].items()}

    def _file(self) -> Path:
        if self._key != "run":
            return self._path
        file = RunDirectory(self._path).weights
        if not file.is_file():
            found = "has no selected weights yet" if self._path.is_dir() else "does not exist"
            raise UserError.of(
                "source.run", f"'{self._path}' {found}; name a completed run's folder"
            )
        return file

    def lines(self) -> list[str]:
        """Return the report of loaded, skipped and unchanged tensors as text."""
        return (
            []
            if self.report is None
            else [f"source.{self._key}: {self._path}", *self.report.lines()]
        )

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain values."""
        assert self.report is not None
        return {
            self._key: str(self._path),
            "loaded": len(self.report.loaded),
            "skipped": {skipped.name: skipped.reason for skipped in self.report.skipped},
            "not_loaded": list(self.report.missing),
        }
