"""Several runs of a folder, such as a sweep or a study, as one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from jlrun.errors import UserError, did_you_mean
from jlrun.files.atomic import REWRITE, read_json, reading
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.display import heading
from jlrun.runs.listing.found import is_run, run_folders
from jlrun.runs.opened.run import Run
from jlrun.wording import counted

if TYPE_CHECKING:
    import pandas as pd

GAIN, SECONDS = "gain/delta_m_percent", "cost/train_seconds"


def load(path: str | os.PathLike[str], trust: Sequence[str] = ()) -> Run | Runs | StudyRuns:
    """Return the run in a folder, or all runs below it.

    Args:
        path: the folder.
        trust: packages whose classes the runs may have.

    Raises:
        UserError: if there is no such folder, or no run in it.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UserError.of(str(path), "there is no such folder")
    if is_run(folder):
        return Run(folder, trust=trust)
    found = Runs.below(folder, trust)
    if RunDirectory(folder).study.is_file():
        return StudyRuns(folder, found.members)
    if not found.members:
        raise UserError.of(str(path), "there is no run in this folder, nor below it")
    return found


class Runs(Sequence[Run]):
    """Runs below a folder, in the order of their names; ``runs[0]`` or ``runs["name"]`` is one.

    Args:
        path: the folder.
        members: the runs.
    """

    def __init__(self, path: Path, members: Sequence[Run]) -> None:
        self.path = path
        self.members = tuple(members)

    @classmethod
    def below(cls, path: Path, trust: Sequence[str] = ()) -> Runs:
        """Return the runs below a folder, without those within a run, such as folds."""
        folders = sorted(run_folders(path), key=lambda folder: _numbered(folder, path))
        names = [folder.relative_to(path).as_posix() for folder in folders]
        return cls(path, [Run(f, name, trust) for f, name in zip(folders, names, strict=True)])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the runs: their folders, relative to that of all."""
        return tuple(run.name for run in self.members)

    @property
    def scores(self) -> pd.DataFrame:
        """`Run.scores` of all runs, after a column ``run``."""
        return self._joined({run.name: run.scores for run in self})

    @property
    def curves(self) -> pd.DataFrame:
        """`Run.curves` of all runs, after a column ``run``.

        Raises:
            UserError: if a file is damaged.
        """
        return self._joined({run.name: run.curves for run in self})

    @property
    def config(self) -> pd.DataFrame:
        """What differs between the configurations: a row for each run, a column for each key.

        Runs that were refused before they began have no values.
        """
        import pandas as pd

        flat = {run.name: _flat(_config_of(run)) for run in self}
        keys = dict.fromkeys(key for values in flat.values() for key in values)
        known = [values for values in flat.values() if values]
        differing = [k for k in keys if any(v.get(k) != known[0].get(k) for v in known)]
        rows = [{key: values.get(key) for key in differing} for values in flat.values()]
        return pd.DataFrame(rows, index=pd.Index(flat, name="run"), columns=differing, dtype=object)

    def table(self) -> pd.DataFrame:
        """Return a row for each run: its status, what was set and differs, its objective, main test
        scores, gain and seconds of training.

        Raises:
            UserError: if a result is damaged.
        """
        import pandas as pd

        results = {run.name: run.result for run in self}
        settings = _differing({name: _typed(result) for name, result in results.items()})
        rows = [
            {"status": result.get("status", "unfinished"), **settings[name], **_numbers(result)}
            for name, result in results.items()
        ]
        return pd.DataFrame(rows, index=pd.Index(results, name="run"))

    def best(self) -> Run:
        """Return the completed run with the largest objective, a score on validation rows.

        Raises:
            UserError: if no run has one, or they are not of one kind.
        """
        found = [(run, objective) for run in self if (objective := run.result.get("objective"))]
        kinds = sorted({str(objective["name"]) for _, objective in found})
        if len(kinds) > 1:
            raise UserError.of(str(self.path), f"objectives of several kinds: {', '.join(kinds)}")
        scored = [(o["value"], run) for run, o in found if o["value"] is not None]
        if not scored:
            raise UserError.of(str(self.path), "no run has an objective to choose by")
        return max(scored, key=lambda pair: pair[0])[1]

    @overload
    def __getitem__(self, key: int | str) -> Run: ...
    @overload
    def __getitem__(self, key: slice) -> Runs: ...
    def __getitem__(self, key: int | str | slice) -> Run | Runs:
        if isinstance(key, slice):
            return Runs(self.path, self.members[key])
        if isinstance(key, int):
            return self.members[key]
        for run in self.members:
            if run.name == key:
                return run
        raise UserError.of(str(self.path), f"no run '{key}'.{did_you_mean(key, self.names)}")

    def __len__(self) -> int:
        return len(self.members)

    def __repr__(self) -> str:
        return f"{type(self).__name__}('{self.path}', {counted(len(self), 'run')})"

    def _repr_html_(self) -> str:
        return heading(str(self.path), [counted(len(self), "run")]) + _html(self.table())

    def _joined(self, by_name: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        import pandas as pd

        named = [frame.assign(run=name) for name, frame in by_name.items()]
        filled = [frame for frame in named if len(frame)] or named[:1]
        joined = pd.concat(filled, ignore_index=True)
        others = [column for column in joined.columns if column != "run"]
        return joined.reindex(columns=["run", *others])


class StudyRuns(Runs):
    """Runs of a study, and what they answer."""

    @property
    def journal(self) -> dict[str, Any]:
        """Content of ``study.json``.

        Raises:
            UserError: if it is damaged.
        """
        return read_json(RunDirectory(self.path).study, fix=REWRITE)

    @property
    def answers(self) -> pd.DataFrame:
        """The comparisons of the study, a row for each; empty of an unfinished one.

        Raises:
            UserError: as `journal`.
        """
        import pandas as pd

        with reading(RunDirectory(self.path).study, REWRITE):
            return pd.json_normalize(self.journal.get("comparisons", []))

    @property
    def sentences(self) -> list[str]:
        """The answers in words; empty of an unfinished study.

        Raises:
            UserError: as `journal`.
        """
        with reading(RunDirectory(self.path).study, REWRITE):
            return [str(sentence) for sentence in self.journal.get("sentences", [])]

    def _repr_html_(self) -> str:
        from html import escape

        state = "finished" if self.journal.get("finished") else "unfinished"
        said = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.sentences)
        return f"{heading(str(self.path), [f'study, {state}'])}<ul>{said}</ul>{_html(self.table())}"


def _numbered(folder: Path, root: Path) -> list[tuple[bool, int, str]]:
    """Return a key that sorts folders by number where they are numbers."""
    parts = folder.relative_to(root).parts
    return [(not p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts]


def _config_of(run: Run) -> dict[str, Any]:
    return run.config if RunDirectory(run.path).config.is_file() else {}


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return config path -> value."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        is_node = isinstance(value, Mapping) and value
        found |= _flat(value, f"{prefix}{key}.") if is_node else {f"{prefix}{key}": value}
    return found


def _typed(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return key -> value as text of what was set, and the mode and the seed."""
    pairs = (text.lstrip("+~").split("=", 1) for text in result.get("overrides") or [])
    typed = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    own = {key: value for key, value in typed.items() if not key.startswith("hydra")}
    return {**own, "mode": result.get("mode"), "seed": result.get("seed")}


def _differing(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    keys = dict.fromkeys(key for values in settings.values() for key in values)
    differing = [k for k in keys if len({str(v.get(k)).lower() for v in settings.values()}) > 1]
    return {name: {k: v.get(k) for k in differing} for name, v in settings.items()}


def _numbers(result: Mapping[str, Any]) -> dict[str, float | None]:
    from jlrun.runs.sweeps.records import scores_of

    objective = result.get("objective") or {}
    numbers = scores_of(result) if result.get("status") == "completed" else {}
    main = (f"test/{task}/{metric}" for task, metric in (result.get("primary") or {}).items())
    named = [str(objective["name"])] if objective else []
    return {name: numbers.get(name) for name in (*named, *main, GAIN, SECONDS) if name in numbers}


def _html(frame: pd.DataFrame) -> str:
    return frame.to_html(escape=True, float_format="{:.4g}".format, na_rep="", max_rows=200)
