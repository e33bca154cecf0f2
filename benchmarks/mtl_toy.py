"""Which starts of the toy problem reach the Pareto front, for each weighting, and where.

    python benchmarks/mtl_toy.py [--weightings equal mgda …] [--steps 50000] [--out PICTURE.png]
                                 [--table TABLE.md] [--runs RUN …]

The problem is that of `jlrun.data.datasets.mtl_toy`. The weighting classes are driven directly,
with
analytic gradients in double precision: what ``jlrun experiment=mtl_toy weighting=…`` does, some ten
times faster. ``--runs`` draws runs of that command instead. Losses are negative at the front, so
methods that take their logarithm (log, geometric, smooth_tchebycheff) have no values there.

Figures, with the command and the time: ``benchmarks/results/mtl_toy.md``.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jlrun.config.build import build
from jlrun.config.compose import compose
from jlrun.config.groups import gradient_keys
from jlrun.config.slots import WEIGHTING
from jlrun.data.datasets.mtl_toy import FLOOR, SCALE, TASKS, toy_losses
from jlrun.objective.weightings import (
    GradientWeighting,
    LossWeighting,
    TaskGradients,
    TaskLosses,
    Weighting,
)
from jlrun.reporting.figures.style import FAINT, FONT_SIZE, INK, PALETTE
from jlrun.reporting.recorders.metrics_csv import read_curves

STARTS = ((-8.5, 7.5), (0.0, 0.0), (9.0, 9.0), (-7.5, -0.5), (9.0, -1.0))
WEIGHTINGS = (
    "equal",
    "pcgrad",
    "cagrad",
    "mgda",
    "imtl_g",
    "nash",
    "fairgrad",
    "db_mtl",
    "famo",
)
# What the papers set for this problem, beside the defaults. FAMO takes the losses' lower bounds.
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "famo": {"gamma": 0.0, "lower_bounds": {"f1": -2.1, "f2": -21.0}},
}
LR = 1e-3
STEPS_PER_EPOCH = 100
FRONT_X1 = 7.0  # the front lies between the minimum of f₂ at −7 and that of f₁ at 7
FRONT_X2 = -8.4  # −8.355 in the middle and −8.434 at both ends
TOLERANCE = 0.1

Pair = tuple[float, float]


@dataclass(frozen=True)
class Path2d:
    """The way of a point from a start.

    Attributes:
        points: ``(K, 2)``, before the first step and after each epoch.
        seconds: taken.
    """

    points: np.ndarray
    seconds: float

    @property
    def end(self) -> Pair:
        """Where it ends."""
        return float(self.points[-1, 0]), float(self.points[-1, 1])


def losses_and_gradients(x1: float, x2: float) -> tuple[Pair, tuple[Pair, Pair]]:
    """Return (f₁, f₂) and (∇f₁, ∇f₂), those that autograd finds for `toy_losses`."""
    s = math.tanh(x2)
    half = math.tanh(x2 / 2)
    slope = 0.5 * (1 - half * half)
    c1, c2 = max(half, 0.0), max(-half, 0.0)
    dc1, dc2 = (slope if half >= 0 else 0.0), (-slope if half <= 0 else 0.0)
    f1, d1 = _loss(0.5 * (-x1 - 7) + s, 1.0, x1 - 7, x2 + 8, (c1, dc1, c2, dc2), s)
    f2, d2 = _loss(0.5 * (-x1 + 3) - s + 2, -1.0, x1 + 7, x2 + 8, (c1, dc1, c2, dc2), s)
    return (SCALE * f1, f2), ((SCALE * d1[0], SCALE * d1[1]), d2)


def _loss(
    u: float, sign: float, dx1: float, dx2: float, c: tuple[float, float, float, float], s: float
) -> tuple[float, Pair]:
    """Return c₁ [log max(|u|, floor) + 6] + c₂ [(dx₁² + 0.1 dx₂²) / 10 − 20] and its gradient.

    u falls by ½ with x₁ and has the derivative ± (1 − s²) in x₂.
    """
    c1, dc1, c2, dc2 = c
    valley = math.log(max(abs(u), FLOOR)) + 6
    bowl = (dx1 * dx1 + 0.1 * dx2 * dx2) / 10 - 20
    du = 1 / u if abs(u) >= FLOOR else 0.0
    by_x1 = -0.5 * c1 * du + c2 * dx1 / 5
    by_x2 = dc1 * valley + c1 * du * sign * (1 - s * s) + dc2 * bowl + c2 * 0.02 * dx2
    return c1 * valley + c2 * bowl, (by_x1, by_x2)


class PairAdam:
    """`torch.optim.Adam` for two numbers, without the cost of a tensor.

    Args:
        lr: learning rate.
    """

    def __init__(self, lr: float = LR) -> None:
        self._lr = lr
        self._steps = 0
        self._mean = [0.0, 0.0]
        self._square = [0.0, 0.0]

    def step(self, x: list[float], gradient: Sequence[float]) -> None:
        """Move ``x`` in place."""
        self._steps += 1
        step_size = self._lr / (1 - 0.9**self._steps)
        root = math.sqrt(1 - 0.999**self._steps)
        for i, g in enumerate(gradient):
            self._mean[i] += 0.1 * (g - self._mean[i])
            self._square[i] += 0.001 * (g * g - self._square[i])
            x[i] -= step_size * self._mean[i] / (math.sqrt(self._square[i]) / root + 1e-8)


def make_weighting(name: str, settings: Mapping[str, Any] = {}) -> Weighting:
    """Return the weighting of the option ``name``, in double precision."""
    node = compose(["mode=multitask", f"weighting={name}"]).config["weighting"]
    # Where a run takes gradients from makes no difference here.
    own = {key: value for key, value in node.items() if key not in gradient_keys()}
    return build({**own, **SETTINGS.get(name, {}), **settings}, WEIGHTING, TASKS).double()


def follow(weighting: Weighting, start: Pair, steps: int, lr: float = LR) -> Path2d:
    """Move a point from ``start`` with Adam, as a run would, and return its way.

    Raises:
        ValueError: if the update is not finite.
    """
    torch.manual_seed(0)
    x, adam, move = list(start), PairAdam(lr), _mover(weighting)
    points, began = [start], time.perf_counter()
    learned = list(weighting.parameters())
    optimizer = torch.optim.Adam(learned, lr) if learned else None
    for step in range(1, steps + 1):
        update = move(*losses_and_gradients(x[0], x[1]))
        if not math.isfinite(update[0] + update[1]):
            raise ValueError(f"the update at ({x[0]:.3g}, {x[1]:.3g}) is not finite")
        adam.step(x, update)
        if optimizer is not None:
            optimizer.step()
            optimizer.zero_grad()
        weighting.after_step(lambda: _tensor(losses_and_gradients(x[0], x[1])[0]))
        if step % STEPS_PER_EPOCH == 0:
            weighting.end_epoch()
            points.append((x[0], x[1]))
    return Path2d(np.array(points), time.perf_counter() - began)


def _mover(weighting: Weighting) -> Callable[[Pair, tuple[Pair, Pair]], list[float]]:
    """Return a function of losses and gradients that gives the weighting's update."""
    active = torch.ones(len(TASKS), dtype=torch.bool)
    num_samples = weighting.num_samples if isinstance(weighting, GradientWeighting) else 1

    def by_gradients(losses: Pair, gradients: tuple[Pair, Pair]) -> list[float]:
        # Nothing here is random, so that each part of a batch is like the whole.
        samples = (_tensor(gradients),) * num_samples
        with torch.no_grad():
            return weighting(TaskGradients(TASKS, _tensor(losses), active, samples)).tolist()

    def by_losses(losses: Pair, gradients: tuple[Pair, Pair]) -> list[float]:
        values = _tensor(losses).requires_grad_()
        weighting(TaskLosses(TASKS, values, active)).backward()
        assert values.grad is not None
        w1, w2 = values.grad.tolist()
        (a, b), (c, d) = gradients
        return [w1 * a + w2 * c, w1 * b + w2 * d]

    assert isinstance(weighting, GradientWeighting | LossWeighting)
    return by_gradients if isinstance(weighting, GradientWeighting) else by_losses


def _tensor(values: Sequence[Any]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def on_front(x: Pair) -> bool:
    """Whether a point lies on the Pareto front, give or take `TOLERANCE`."""
    return abs(x[0]) <= FRONT_X1 + TOLERANCE and abs(x[1] - FRONT_X2) <= TOLERANCE


def table_row(name: str, paths: Sequence[Path2d], steps: int) -> str:
    """Return a row of the table: x₁ where the front is reached, otherwise the point reached."""
    ends = [path.end for path in paths]
    cells = [f"{x1:.1f}" if on_front((x1, x2)) else f"({x1:.1f}, {x2:.1f})" for x1, x2 in ends]
    reached = f"{sum(map(on_front, ends))}/{len(ends)}"
    microseconds = 1e6 * sum(path.seconds for path in paths) / (steps * len(paths))
    return " | ".join(["", name, reached, *cells, f"{microseconds:.0f}", ""]).strip()


def table_head() -> str:
    """Return the first two lines of the table."""
    names = ["weighting", "on the front", *(f"from ({a:g}, {b:g})" for a, b in STARTS), "µs a step"]
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def draw(panels: Mapping[str, Sequence[Path2d]]) -> Figure:
    """Draw paths over the contours of f₁ + f₂ with the Pareto front, a panel per name."""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    size = (2.6 * columns + 0.2, 2.5 * rows + 0.2)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for panel in axes[len(panels) :]:
        panel.set_visible(False)
    for panel, (name, paths) in zip(axes, panels.items(), strict=False):
        _draw_contours(panel)
        for path, colour in zip(paths, PALETTE, strict=False):
            panel.plot(*path.points.T, color=colour, linewidth=1.6, zorder=4)
            panel.plot(*path.points[0], "o", color=colour, markersize=4, zorder=5)
            panel.plot(*path.end, "*", color=colour, markeredgecolor=INK, markersize=9, zorder=6)
        panel.set_title(name, fontsize=FONT_SIZE + 1)
        panel.tick_params(labelsize=FONT_SIZE - 2)
    return figure


def _draw_contours(panel: Axes) -> None:
    ticks = torch.linspace(-10, 10, 300, dtype=torch.float64)
    x1, x2 = torch.meshgrid(ticks, ticks, indexing="xy")
    total = toy_losses(torch.stack([x1, x2], dim=-1)).sum(dim=-1)
    levels = np.linspace(-22, 11, 23).tolist()
    panel.contour(x1, x2, total, levels=levels, colors=FAINT, linestyles="solid", linewidths=0.8)
    panel.plot([-FRONT_X1, FRONT_X1], [FRONT_X2] * 2, color=INK, linewidth=4, alpha=0.6, zorder=3)
    panel.set(xlim=(-10, 10), ylim=(-10, 10), aspect="equal")


def read_run(run: Path) -> tuple[str, Path2d]:
    """Return the weighting of a run and the way of its point."""
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    curves = {c.tag: c.values for c in read_curves(run / "metrics.csv") if c.fit == "main"}
    start = config["backbone"]["point"]["start"]
    points = np.array([start, *zip(curves["val/f1/x1"], curves["val/f1/x2"], strict=True)])
    return config["weighting"]["_target_"].rpartition(".")[2], Path2d(points, 0.0)


def main() -> None:
    """Follow every weighting from every start, and write what was asked for."""
    options = _options()
    lines, panels = [table_head()], dict[str, list[Path2d]]()
    for name, path in map(read_run, options.runs):
        panels.setdefault(name, []).append(path)
    print(lines[0], flush=True)
    for name in () if options.runs else options.weightings:
        paths = [follow(make_weighting(name), start, options.steps) for start in STARTS]
        panels[name] = paths
        lines.append(table_row(name, paths, options.steps))
        print(lines[-1], flush=True)
    if options.table:
        options.table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if options.out:
        draw(panels).savefig(options.out)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The toy problem of multi-task learning.")
    parser.add_argument("--weightings", nargs="+", default=WEIGHTINGS)
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--out", type=Path, help="where the picture goes")
    parser.add_argument("--table", type=Path, help="where the table goes")
    parser.add_argument("--runs", nargs="+", type=Path, default=[], help="directories of runs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
