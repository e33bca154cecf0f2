"""Sources to rank, from the command line: checked before any is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from jlrun.errors import Problem, UserError
from jlrun.files.run_directory import RunDirectory
from jlrun.models import checkpoints
from jlrun.models.encoders.architectures import check_name
from jlrun.runs.saved_model import read_description
from jlrun.runs.saved_run import load_run
from jlrun.runs.settings import RunSettings

PUBLISHED = "DEFAULT"  # torchvision's name of the weights that it recommends for a model
T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        name: as the user wrote it.
        directory: where it lies.
        settings: its config.
        modalities: that its model takes.
    """

    name: str
    directory: Path
    settings: RunSettings
    modalities: tuple[str, ...]


@dataclass(frozen=True)
class Backbone:
    """A torchvision model.

    Attributes:
        name: as the user wrote it.
        model: torchvision's name of it.
        weights: a file, or the name of published ones; None: untrained.
        resize: side in pixels that images are resized to; None keeps their size.
    """

    name: str
    model: str
    weights: str | None
    resize: int | None
    modalities: ClassVar[tuple[str, ...]] = ("image",)

    @property
    def node(self) -> dict[str, Any]:
        """Its encoder as a config describes it, with the stem that published weights have."""
        return {
            "_target_": "jlrun.models.encoders.Torchvision",
            "name": self.model,
            "weights": self.weights,
            "stem": "imagenet",
            "resize": self.resize,
        }


@dataclass(frozen=True)
class Sources:
    """Names of the candidates, in this order."""

    runs: tuple[Run, ...]
    backbones: tuple[Backbone, ...]


def find_sources(
    runs: Sequence[str], backbones: Sequence[str], resize: int | None = None
) -> Sources:
    """Return what the user names, without loading any weights.

    Args:
        runs: run directories.
        backbones: ``MODEL`` or ``MODEL:WEIGHTS``; weights as in
        `jlrun.models.encoders.Torchvision`.
        resize: side in pixels that backbones resize images to; None keeps their size.

    Raises:
        UserError: with all that is wrong.
    """
    problems: list[Problem] = []
    if not runs and not backbones:
        message = "nothing to rank: name finished runs by --runs RUN …, models by --backbones …"
        raise UserError.of("", message)
    if resize is not None and resize < 1:
        problems.append(Problem("--resize", f"{resize} is too small: at least 1 pixel"))
    problems += [*_twice("--runs", runs), *_twice("--backbones", backbones)]
    found = _each(runs, _run, problems)
    models = _each(backbones, lambda text: _backbone(text, resize), problems)
    if problems:
        raise UserError(list(dict.fromkeys(problems)))
    return Sources(found, models)


def _run(text: str) -> Run:
    directory = Path(text).expanduser()
    settings, _ = load_run(directory)
    run = RunDirectory(directory)
    if not run.model.exists() or not checkpoints.exists(run.best):
        raise UserError.of(text, "this run has no selected model yet; resume it first")
    return Run(text, directory, settings, tuple(read_description(directory)["modalities"]))


def _backbone(text: str, resize: int | None) -> Backbone:
    model, _, weights = text.partition(":")
    with attributed_to(f"--backbones {text}"):
        check_name(model)
    return Backbone(text, model, weights or PUBLISHED, resize)


def _each(texts: Sequence[str], read: Callable[[str], T], problems: list[Problem]) -> tuple[T, ...]:
    found = []
    for text in texts:
        try:
            found.append(read(text))
        except UserError as error:
            problems += error.problems
    return tuple(found)


def _twice(option: str, names: Sequence[str]) -> list[Problem]:
    repeated = dict.fromkeys(name for name in names if names.count(name) > 1)
    return [Problem(option, f"names '{name}' twice") for name in repeated]


@contextmanager
def attributed_to(name: str) -> Iterator[None]:
    """Begin the user errors of a candidate with its ``name``.

    It replaces paths of the config, which candidates do not have.
    """
    try:
        yield
    except UserError as error:
        raise UserError([_of(name, problem) for problem in error.problems]) from error


def _of(name: str, problem: Problem) -> Problem:
    kept = problem.where and problem.where != name and not problem.where.startswith("backbone.")
    return Problem(f"{name}: {problem.where}" if kept else name, problem.message)
