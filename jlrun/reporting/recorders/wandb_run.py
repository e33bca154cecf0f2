"""Weights & Biases: a run of jlrun as a run there, on its servers or in files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from jlrun.errors import UserError
from jlrun.extras import import_extra
from jlrun.reporting.recorders.tracking import Point, Tracker

if TYPE_CHECKING:
    from PIL.Image import Image

WHERE = "recorder.wandb"
PROJECT = "WANDB_PROJECT"


class WandbRun(Tracker):
    """Run of Weights & Biases; charts are over ``step``, the optimizer steps of a fit.

    ``WANDB_PROJECT`` names the project, ``WANDB_MODE=offline`` writes files for ``wandb sync``.
    Its own files are in ``wandb/`` of the working directory, or in ``WANDB_DIR``: they are full of
    links, which no run directory may hold.

    Raises:
        UserError: if the library is absent.
    """

    name = "wandb"

    def __init__(self) -> None:
        self._wandb = import_extra("wandb", "wandb", WHERE)
        self._run: Any = None

    def begin(self, title: str, known: str | None, settings: Mapping[str, Any]) -> str:
        try:
            self._run = self._wandb.init(
                project=os.environ.get(PROJECT, "jlrun"),
                name=title,
                id=known,
                resume="allow" if known else None,
                config=dict(settings),
                reinit="create_new",  # runs that train as one are several at once
                settings=self._wandb.Settings(console="off", silent=True),
            )
        except self._wandb.errors.Error as error:
            message = f"Weights & Biases began no run: {error}; WANDB_MODE=offline needs no server"
            raise UserError.of(WHERE, message) from error
        self._run.define_metric("*", step_metric="step")
        return self._run.id

    def log(self, points: list[Point]) -> None:
        for step, at_step in groupby(points, key=lambda point: point.step):
            self._run.log({**{point.tag: point.value for point in at_step}, "step": step})

    def picture(self, tag: str, picture: Image, step: int) -> None:
        self._run.log({tag: self._wandb.Image(picture), "step": step})

    def end(self, status: str, summary: Mapping[str, float]) -> None:
        self._run.summary.update({**summary, "status": status})
        self._run.finish(exit_code=int(status != "completed"))
