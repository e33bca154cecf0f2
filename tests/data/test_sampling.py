"""Which streams a step takes batches from: how often, in which order, and after a stop."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from jlrun.data.rows import TensorRows
from jlrun.data.sampling import (
    All,
    Alone,
    Proportional,
    RoundRobin,
    Sampling,
    Temperature,
    Uniform,
    apportion,
    joint_batches,
)
from jlrun.data.streams import Stream
from tests.toy import toy_stream

LENGTHS = (9, 3, 1)
EACH = pytest.mark.parametrize(
    "sampling",
    [All(), RoundRobin(), Proportional(), Uniform(), Temperature(2.0)],
    ids=lambda sampling: type(sampling).__name__,
)


def numbered(name: str, count: int, batch: int = 4) -> Stream:
    """Rows that hold their own number."""
    row = torch.arange(count)
    x = row[:, None].float().expand(-1, 4)
    return toy_stream(name, TensorRows({"x": x}, {"row": row}), batch)


def streams() -> dict[str, Stream]:
    """36, 12 and 4 rows in batches of 4: LENGTHS."""
    return {name: numbered(name, 4 * n) for name, n in zip("abc", LENGTHS, strict=True)}


def taken(sampling: Sampling, start: int, stop: int, seed: int = 0) -> list[dict[str, list[int]]]:
    """Return for each step stream -> the rows of its batch."""
    batches = joint_batches(streams(), sampling, start, stop, seed)
    return [{name: b.targets["row"].tolist() for name, b in step.items()} for step in batches]


def counted(sampling: Sampling, epochs: int = 1) -> dict[str, int]:
    stop = epochs * sampling.num_steps(sampling.counts(LENGTHS))
    return Counter(name for step in taken(sampling, 0, stop) for name in step)


def test_all_takes_a_batch_of_each_stream_and_starts_short_ones_again() -> None:
    steps = taken(All(), 0, 9)
    assert All().num_steps(All().counts(LENGTHS)) == 9
    assert all(list(step) == ["a", "b", "c"] for step in steps)
    assert Counter(row for step in steps for row in step["b"]) == dict.fromkeys(range(12), 3)


def test_round_robin_takes_them_in_turn_for_a_pass_over_the_longest() -> None:
    steps = taken(RoundRobin(), 0, 27)
    assert [next(iter(step)) for step in steps] == list("abc") * 9
    assert sorted(row for step in steps for row in step.get("a", [])) == list(range(36))


def test_proportional_sees_every_row_once_in_each_epoch() -> None:
    for epoch in range(3):
        steps = taken(Proportional(), 13 * epoch, 13 * epoch + 13)
        for name, count in {"a": 36, "b": 12, "c": 4}.items():
            rows = [row for step in steps for row in step.get(name, [])]
            assert sorted(rows) == list(range(count))


def test_temperature_counts_are_those_of_its_formula() -> None:
    # 13 · (3, √3, 1) / (4 + √3) = (6.80, 3.93, 2.27)
    assert counted(Temperature(2.0)) == {"a": 7, "b": 4, "c": 2}
    assert Temperature(1.0).counts(LENGTHS) == LENGTHS
    assert Temperature(1e6).counts(LENGTHS) == Uniform().counts(LENGTHS)


def test_uniform_takes_all_equally_often_in_as_many_steps_as_proportional() -> None:
    assert counted(Uniform()) == {"a": 5, "b": 4, "c": 4}
    assert counted(Uniform(), epochs=2) == {"a": 10, "b": 8, "c": 8}
    assert Uniform().counts((6, 6)) == (6, 6)


@pytest.mark.parametrize(
    ("total", "shares", "expected"),
    [
        (10, [1.0, 1.0, 1.0], (4, 3, 3)),
        (100, [1.0, 1e-300], (99, 1)),
        (3, [5.0, 1.0, 1.0], (1, 1, 1)),
        (7, [1.0], (7,)),
        (1_000_003, [1e6, 3.0], (1_000_000, 3)),
    ],
)
def test_a_division_to_whole_numbers(total: int, shares: list[float], expected: tuple) -> None:
    assert apportion(total, shares) == expected


@EACH
def test_any_step_can_be_repeated_without_those_before(sampling: Sampling) -> None:
    whole = taken(sampling, 0, 60)
    assert len(whole) == 60
    for start in (1, 8, 13, 14, 26, 40, 60):
        assert taken(sampling, start, 60) == whole[start:]


@EACH
def test_batches_of_a_stream_are_its_own_in_their_order(sampling: Sampling) -> None:
    steps = taken(sampling, 0, 40)
    for name, stream in streams().items():
        rows = [step[name] for step in steps if name in step]
        own = [batch.targets["row"].tolist() for batch in stream.batches(0, len(rows))]
        assert rows == own


@pytest.mark.parametrize("sampling", [Proportional(), Uniform(), Temperature()])
def test_the_order_is_another_in_each_epoch_and_for_each_seed(sampling: Sampling) -> None:
    names = ["".join(step) for step in taken(sampling, 0, 26)]
    assert names[:13] != names[13:]
    assert names != ["".join(step) for step in taken(sampling, 0, 26, seed=1)]


def test_alone_takes_the_batches_that_the_stream_gives_beside_others() -> None:
    counts = Uniform().counts(LENGTHS)
    beside = [step["b"] for step in taken(Uniform(), 0, 26) if "b" in step]
    stream = {"b": streams()["b"]}
    alone = joint_batches(stream, Alone(counts[1]), 0, 2 * counts[1], 5)
    assert [step["b"].targets["row"].tolist() for step in alone] == beside
