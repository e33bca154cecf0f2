"""MLflow: a run of jlrun as a run there, on a server or in a database file."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jlrun.errors import UserError
from jlrun.extras import import_extra
from jlrun.reporting.recorders.tracking import Point, Tracker

if TYPE_CHECKING:
    from PIL.Image import Image

WHERE = "recorder.mlflow"
EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
MOST_METRICS, MOST_PARAMS = 1000, 100  # of a request
LONGEST = 500  # characters of a parameter
_STATUS = {"completed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_FOREIGN = re.compile(r"[^/\w.\- :]")


class MlflowRun(Tracker):
    """Run of MLflow, at ``MLFLOW_TRACKING_URI``, in the experiment ``MLFLOW_EXPERIMENT_NAME``.

    Raises:
        UserError: if the library is absent.
    """

    name = "mlflow"

    def __init__(self) -> None:
        mlflow = import_extra("mlflow", "mlflow", WHERE)
        self._entities = import_extra("mlflow.entities", "mlflow", WHERE)
        self._error: type[Exception] = mlflow.exceptions.MlflowException
        self._connect = mlflow.MlflowClient
        self._client: Any = None
        self._id = ""

    def begin(self, title: str, known: str | None, settings: Mapping[str, Any]) -> str:
        try:
            self._client = self._connect()
            if known is not None:
                self._client.update_run(known, status="RUNNING")
                self._id = known
                return known
            experiment = self._experiment(os.environ.get(EXPERIMENT, "jlrun"))
            self._id = self._client.create_run(experiment, run_name=title).info.run_id
            params = [
                self._entities.Param(_FOREIGN.sub("_", key), _text(value)[:LONGEST])
                for key, value in settings.items()
            ]
            for first in range(0, len(params), MOST_PARAMS):
                self._client.log_batch(self._id, params=params[first : first + MOST_PARAMS])
        except (self._error, ImportError) as error:
            raise UserError.of(WHERE, f"MLflow began no run: {error}") from error
        return self._id

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return self._client.create_experiment(name)
            except self._error:  # another process was faster
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return found.experiment_id

    def log(self, points: list[Point]) -> None:
        now = int(1000 * time.time())
        metrics = [
            self._entities.Metric(_FOREIGN.sub("_", point.tag), point.value, now, point.step)
            for point in points
        ]
        for first in range(0, len(metrics), MOST_METRICS):
            self._client.log_batch(self._id, metrics=metrics[first : first + MOST_METRICS])

    def picture(self, tag: str, picture: Image, step: int) -> None:
        name = _FOREIGN.sub("_", tag).replace("/", "_")
        self._client.log_image(self._id, picture, f"figures/{name}.png")

    def end(self, status: str, summary: Mapping[str, float]) -> None:
        for name, value in summary.items():
            self._client.set_tag(self._id, _FOREIGN.sub("_", name), f"{value:.6g}")
        self._client.set_terminated(self._id, _STATUS[status])


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
