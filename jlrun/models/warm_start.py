"""Begin with weights that were learned elsewhere: by another run, or by another library."""

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
    """Fills a new model with the weights of a file, wherever names and shapes fit.

    Args:
        key: ``run`` or ``weights``, for errors.
        path: the run directory (its selected weights are taken), or the file.

    Attributes:
        report: what was loaded the last time, what was skipped, and why; None before.
    """

    def __init__(self, key: str, path: Path) -> None:
        self._key, self._path = key, path
        self.report: LoadReport | None = None

    @classmethod
    def of(cls, start: Mapping[str, str]) -> PretrainedInit | None:
        """Return the start that ``{key: path}`` describes; None of nothing."""
        return next((cls(key, Path(path).expanduser()) for key, path in start.items()), None)

    def __call__(self, model: JointModel) -> None:
        """Load what fits.

        Raises:
            UserError: if there is no such run or file, or nothing in it fits the body: heads read
                the features of the body that they were learned with.
        """
        where = f"source.{self._key}"
        self.report = load_weights(model, self._file(), where)
        if not any(name.startswith("body.") for name in self.report.loaded):
            raise UserError.of(
                where,
                f"of '{self._path}' only {', '.join(self.report.loaded)} fits, and nothing of the "
                "body, on whose features that was learned; choose the backbone, fusion and sharing "
                "that it was learned with",
            )

    def specs(self) -> dict[str, Spec]:
        """Return modality -> what the saved model takes, where it is a run's."""
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
        """Return what was loaded, skipped and left as it was, to be read."""
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
