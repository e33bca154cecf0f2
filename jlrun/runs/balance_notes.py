"""Lines on the shares of classes that balanced training batches have, in place of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.splits import Splits
from jlrun.data.strata import class_column

_LISTED = 10


def notes_on_balance(streams: LabelledStreams, splits: Mapping[str, Splits]) -> Iterator[str]:
    """Yield a line if the classes of a data set are balanced in training."""
    task, rows = streams.train.balanced_by, streams.train.rows
    if task is None:
        return
    classes, column = splits[streams.name].classes[task], class_column(rows, task)
    counts = column[column >= 0].bincount(minlength=len(classes)).tolist()
    total, present = max(1, sum(counts)), max(1, sum(count > 0 for count in counts))
    shares = [f"{name} {n / total:.1%}" for name, n in zip(classes, counts, strict=True)]
    rest = f", … ({len(shares)} classes)" if len(shares) > _LISTED else ""
    yield (
        f"{streams.name}: training batches have each class of {task} at {1 / present:.1%}, the "
        f"rows {', '.join(shares[:_LISTED])}{rest}; probabilities are predicted for equal shares"
    )
