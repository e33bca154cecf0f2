"""Settings of a study: ``study.KEY=VALUE`` on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from jlrun.errors import Problem, UserError, did_you_mean
from jlrun.files.bounded_text import parse_yaml
from jlrun.runs.study.budget import Budget

Question = Literal[
    "alone", "joint", "modalities", "weightings", "pairs", "transfer", "few", "pretraining"
]
QUESTIONS: tuple[Question, ...] = get_args(Question)
_PREFIX = "study."


class StudySettings(BaseModel):
    """What a study may spend, and on what.

    Attributes:
        budget: of the whole study: ``10min``, ``2h``, ``40runs`` or ``5000steps``.
        seeds: runs of each cell, with seeds 0, 1, …; below two nothing is called better or worse.
        questions: what it asks; ``alone`` and ``joint`` are what all others are compared with.
        weightings: tried against equal weights.
        pretraining: terms of the self-supervised phase.
        shares: of the training rows, for the curve of few labels.
        models: largest number of models that the tasks may be divided among.
        dry: print the plan and its estimated time, and run nothing else.
        dir: folder of the study; None: a new one, or that of an unfinished study that began alike.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    budget: str = "30min"
    seeds: PositiveInt = 3
    questions: tuple[Question, ...] = QUESTIONS
    weightings: tuple[str, ...] = ("uncertainty", "pcgrad")
    pretraining: tuple[str, ...] = ()
    shares: tuple[float, ...] = Field(default=(0.05, 0.2))
    models: PositiveInt = 2
    dry: bool = False
    dir: str | None = None

    @property
    def limit(self) -> Budget:
        """The budget as numbers."""
        return Budget.parse(self.budget)


def divided(overrides: Sequence[str]) -> tuple[StudySettings, list[str]]:
    """Return the settings of the study, and the overrides that are about its runs.

    Raises:
        UserError: for a key that there is not, or a value of the wrong kind.
    """
    own = [text for text in overrides if text.startswith(_PREFIX)]
    others = [text for text in overrides if not text.startswith(_PREFIX)]
    found = dict(_entry(text) for text in own)
    try:
        settings = StudySettings.model_validate(found)
    except ValidationError as error:
        raise UserError([_problem(each) for each in error.errors()]) from error
    Budget.parse(settings.budget)
    wrong = [share for share in settings.shares if not 0 < share < 1]
    if wrong:
        raise UserError.of("study.shares", f"{wrong[0]} is no share between 0 and 1")
    return settings, others


def _entry(text: str) -> tuple[str, Any]:
    key, sign, value = text.partition("=")
    if not sign:
        raise UserError.of(key, f"a value is missing: {key}=VALUE")
    name = key.removeprefix(_PREFIX)
    read = value if name in {"budget", "dir"} else parse_yaml(_spaced(value))
    return name, [read] if isinstance(read, str) and name in _LISTS else read


_LISTS = {
    name for name, field in StudySettings.model_fields.items() if "tuple" in str(field.annotation)
}


def _spaced(value: str) -> str:
    return re.sub(r",(?=\S)", ", ", value)


def _problem(error: Any) -> Problem:
    key = ".".join(map(str, error["loc"][:1]))
    if error["type"] == "extra_forbidden":
        known = [f"study.{name}" for name in StudySettings.model_fields]
        near = did_you_mean(f"study.{key}", known)
        return Problem(f"study.{key}", f"there is no such key.{near}")
    message = str(error["msg"])
    return Problem(f"study.{key}", f"'{error['input']}': {message[:1].lower()}{message[1:]}")
