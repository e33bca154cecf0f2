"""Bytes that a step of several ranks moves: a model, and what it says of 8 and 64 GPUs.

Gradients of W ranks are averaged by an all-reduce of all P parameters that train, each of 4 bytes.
A weighting of task gradients needs the T gradients of all rows before that:

- of features, an all-reduce of T x T numbers of 8 bytes where the weighting knows them by their
  Gramian, otherwise a gather of ``T x D`` numbers for each of the b = B / W rows of a rank;
- of parameters, an all-reduce of ``S x T x N`` numbers, N being shared by the tasks and S the equal
  shares of the batch that it compares (1 for most). The other P - N parameters are averaged.

A ring moves n bytes of an all-reduce by sending ``2 (W - 1) / W n`` from each rank, and a gather of
n bytes of each by ``(W - 1) n``. Losses, a request to stop and counts are a few bytes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from jlrun.ranks.calls import sent

NUMBER = 4  # bytes


@dataclass(frozen=True)
class Shape:
    """Sizes of a step.

    Attributes:
        tasks: T.
        parameters: P, that train.
        shared: N, of those that tasks share.
        width: D, of the features that tasks share.
        rows: B, of all ranks.
        samples: S, equal shares of the batch that a weighting compares.
        by_gramian: whether it knows gradients by features by their Gramian alone.
    """

    tasks: int
    parameters: int
    shared: int
    width: int
    rows: int
    samples: int = 1
    by_gramian: bool = False

    def payload(self, source: str | None, ranks: int) -> Counter[str]:
        """Return collective -> bytes that a rank gives to it in a step.

        Args:
            source: of task gradients: ``features`` or ``parameters``; None: of losses alone.
            ranks: W.
        """
        reduced, gathered = self.parameters + self.tasks, 0
        if source == "features" and self.by_gramian:
            reduced += 2 * self.tasks**2  # float64
        elif source == "features":
            gathered = self.tasks * self.width * -(-self.rows // ranks)
        if source == "parameters":
            reduced += (self.samples * self.tasks - 1) * self.shared
        return Counter(all_reduce=NUMBER * reduced, all_gather=NUMBER * gathered)

    def sent(self, source: str | None, ranks: int) -> float:
        """Return the bytes that each rank sends in a step."""
        return sent(self.payload(source, ranks), ranks)


@dataclass(frozen=True)
class Network:
    """Ranks that are connected in some way.

    Attributes:
        name: in words.
        ranks: W.
        bytes_per_second: that each rank sends while all do.
    """

    name: str
    ranks: int
    bytes_per_second: float


# Assumptions, not measurements.
NETWORKS = (
    Network("8 GPUs, NVLink of 300 GB/s", 8, 300e9),
    Network("8 GPUs, PCIe of 12 GB/s", 8, 12e9),
    Network("64 GPUs, a 200 Gb/s link for each", 64, 25e9),
    Network("64 GPUs, 8 on a 100 Gb/s link", 64, 12.5e9 / 8),
)
ROWS_PER_RANK = 32
MODELS = {
    "ResNet-50": (23_500_000, 2048),
    "ViT-B/16": (85_800_000, 768),
    "ViT-L/16": (303_300_000, 1024),
}
TASK_COUNTS = (3, 10, 40)
HEAD_OUTPUTS = 10


def shape_of(model: str, tasks: int, ranks: int) -> Shape:
    """Return the sizes of a step of a known model with linear heads."""
    shared, width = MODELS[model]
    heads = tasks * (width + 1) * HEAD_OUTPUTS
    return Shape(tasks, shared + heads, shared, width, ROWS_PER_RANK * ranks)


def extrapolated() -> str:
    """Return a Markdown table: milliseconds a step that each method spends on the network."""
    lines = [
        "| model | T | " + " | ".join(network.name for network in NETWORKS) + " |",
        "|---|---|" + "---|" * len(NETWORKS),
    ]
    for model in MODELS:
        for tasks in TASK_COUNTS:
            cells = [_cell(model, tasks, network) for network in NETWORKS]
            lines.append(f"| {model} | {tasks} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(model: str, tasks: int, network: Network) -> str:
    shape = shape_of(model, tasks, network.ranks)
    times = (
        1000 * shape.sent(source, network.ranks) / network.bytes_per_second
        for source in (None, "features", "parameters")
    )
    return " / ".join(f"{time:,.1f}" if time < 100 else f"{time:,.0f}" for time in times)
