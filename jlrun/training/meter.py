"""Means of what training steps measure, kept on the device until they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from jlrun.engine import holds_float64
from jlrun.training.stats import StepStats

MAX_WAITING = 64  # steps


class Meter:
    """Running means: losses over rows, gradient norm and readings over steps.

    A step's loss of a task counts with its labelled rows, those of terms and the total with all its
    rows, so that the mean of an epoch is the mean over its rows, however small its last step.

    Args:
        tasks: labels of the T objectives.
        terms: names of the J terms.
    """

    def __init__(self, tasks: Sequence[str], terms: Sequence[str]) -> None:
        self._tasks = tuple(tasks)
        self._terms = tuple(terms)
        self.reset()

    def reset(self) -> None:
        """Forget all steps."""
        self.num_steps = 0
        self._waiting: list[StepStats] = []
        self._tensors: dict[str, Tensor] = {}
        self._readings: dict[str, Tensor] = {}

    def add(self, stats: StepStats) -> None:
        """Add a step."""
        self.num_steps += 1
        self._waiting.append(stats)
        if len(self._waiting) == MAX_WAITING:
            self._take_in()

    def _take_in(self) -> None:
        """Add the steps that wait to the sums, many at once."""
        if not self._waiting:
            return
        steps, self._waiting = self._waiting, []
        exact = torch.float64 if holds_float64(steps[0].total_loss.device) else torch.float32
        tasks = torch.stack([step.task_losses for step in steps]).to(exact)
        labelled = torch.stack([step.labelled for step in steps]).to(tasks)
        rows = tasks.new_tensor([step.num_rows for step in steps])
        seen = {
            "tasks": tasks * labelled,
            "labelled": labelled,
            "terms": torch.stack([step.term_losses for step in steps]).to(exact) * rows[:, None],
            "total": torch.stack([step.total_loss for step in steps]).to(exact) * rows,
            "rows": rows,
            "grad_norm": torch.stack([step.grad_norm for step in steps]).to(exact),
        }
        for name, values in seen.items():
            total = values.sum(dim=0)
            self._tensors[name] = self._tensors[name] + total if name in self._tensors else total
        for tag in dict.fromkeys(tag for step in steps for tag in step.readings):
            values = torch.stack([s.readings[tag].detach() for s in steps if tag in s.readings])
            values = values.to(exact)
            known = torch.stack([values.nan_to_num().sum(), (~values.isnan()).to(values).sum()])
            self._readings[tag] = self._readings[tag] + known if tag in self._readings else known

    def means(self) -> dict[str, float]:
        """Return tag -> mean; a task without labels in any step has none."""
        if not self.num_steps:
            return {}
        self._take_in()
        t = {name: tensor.double().cpu() for name, tensor in self._tensors.items()}
        means = {
            f"train/{task}/loss": float(total / count)
            for task, total, count in zip(self._tasks, t["tasks"], t["labelled"], strict=True)
            if count > 0
        }
        for term, total in zip(self._terms, t["terms"], strict=True):
            means[f"train/{term}/loss"] = float(total / t["rows"])
        means["train/total_loss"] = float(t["total"] / t["rows"])
        means["train/grad_norm"] = float(t["grad_norm"] / self.num_steps)
        for tag, known in self._readings.items():
            total, count = known.tolist()
            if count:
                means[tag] = total / count
        return means

    def state_dict(self) -> dict[str, Any]:
        """Return the sums, for a checkpoint in the middle of an epoch."""
        self._take_in()
        tensors, readings = self._tensors, self._readings
        return {"num_steps": self.num_steps, "tensors": tensors, "readings": readings}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Restore what `state_dict` returned."""
        self.reset()
        self.num_steps = state["num_steps"]
        self._tensors = {name: tensor.to(device) for name, tensor in state["tensors"].items()}
        readings = state.get("readings", {})
        self._readings = {tag: known.to(device) for tag, known in readings.items()}
