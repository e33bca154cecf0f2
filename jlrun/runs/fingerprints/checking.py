"""Checks that the data of a run has not changed since, and that its splits are apart."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from jlrun.errors import UserError
from jlrun.runs.fingerprints.fingerprint import DataPrint, Fingerprint, SplitPrint, read
from jlrun.runs.fingerprints.row_keys import joined
from jlrun.wording import counted

SPLITS = ("train", "val", "test")
_UNKNOWN = "has no fingerprint of its data, so that changes of the data can't be noticed"
_CALLED = {"train": "training", "val": "validation", "test": "test", "pool": "unlabelled"}
_MOST = 0.5
_USUAL = 0.1


def check_unchanged(
    directory: Path,
    now: Fingerprint,
    *,
    fix: str,
    kinds: Sequence[str] = SPLITS,
    ordered: bool = False,
) -> list[str]:
    """Check that the data of a run is as it was.

    Args:
        directory: of the run.
        now: the fingerprint of the data as it is.
        fix: what else can be done than to put the data back.
        kinds: the splits that matter.
        ordered: whether their order does.

    Returns:
        lines for the user: that the run has no fingerprint, if so.

    Raises:
        UserError: with what changed.
    """
    before = read(directory)
    if before is None:
        return [f"{directory} {_UNKNOWN}"]
    changed = differences(before, now, kinds, ordered)
    if changed:
        what = "\n  ".join(changed)
        message = f"the data is not what the run was made with; put it back, or {fix}:\n  {what}"
        raise UserError.of(str(directory), message)
    return []


def check_other_data(
    directory: Path, now: Fingerprint, kinds: Sequence[str] = ("val", "test")
) -> list[str]:
    """Check that other data, which was asked for, has no training rows of the run.

    Rows are the same where their inputs are. In data whose own test rows repeat training rows, as
    tables of a few categories may, others may do so about as often.

    Returns:
        a line on each split that differs from the run's.

    Raises:
        UserError: with the number of rows to be scored that the run was trained on.
    """
    before = read(directory)
    if before is None:
        return [f"{directory} {_UNKNOWN}: whether it was trained on these rows isn't known"]
    lines, wrong = [], []
    for stream in now.keys() & before.keys():
        old, new = before[stream], now[stream]
        for kind in kinds:
            repeated, count = once_trained_on(old, new, kind), len(new.splits[kind].keys)
            where = kind if len(now) == 1 else f"{kind} of {stream}"
            line = f"{where}: {len(repeated)} of {count} rows were training rows of the run"
            if len(repeated) > count * _expected(old, kind):
                first = new.splits[kind].name(int(repeated[0]))
                wrong.append(f"{line}, for example {first}")
            elif differences({stream: old}, {stream: new}, [kind], ordered=False):
                lines.append(f"{line}; the run was made with other rows")
    if wrong:
        message = "these rows are no test of the run:\n  " + "\n  ".join(wrong)
        raise UserError.of(str(directory), message)
    return lines


def trained_on_lines(keys: Mapping[Path, np.ndarray], names: Sequence[str]) -> list[str]:
    """Return a line on rows with labels that runs were trained on, if there are any.

    In data whose own test rows repeat training rows, new rows may do so about as often.

    Args:
        keys: directory of a run -> keys of the rows as it has them
            (`jlrun.runs.fingerprints.row_keys`), uint64 ``(N,)``; several for a cross-validation.
        names: what the N rows are called.
    """
    trained, expected = np.zeros(len(names), dtype=bool), 0.0
    for directory, each in keys.items():
        before = read(directory)
        if before is None:
            return [f"{directory} {_UNKNOWN}: whether it was trained on these rows isn't known"]
        trained |= np.isin(each, np.concatenate([_trained_on(data) for data in before.values()]))
        expected = max(expected, *(_expected(data, "test") for data in before.values()))
    repeated = np.flatnonzero(trained)
    if len(repeated) <= len(names) * expected:
        return []
    return [
        f"warning: {len(repeated)} of {len(names)} rows were training rows of this run, for "
        f"example {names[int(repeated[0])]}: scores on them say nothing about new rows"
    ]


def differences(
    before: Fingerprint, now: Fingerprint, kinds: Sequence[str], ordered: bool
) -> list[str]:
    """Return what differs.

    Args:
        before, now: fingerprints.
        kinds: the splits to compare.
        ordered: whether the order of rows matters, as it does where training goes on.
    """
    found = []
    for stream in sorted({*before, *now}):
        if stream not in before or stream not in now:
            found.append(f"'{stream}' is {'new' if stream in now else 'gone'}")
            continue
        lines = _of_data(before[stream], now[stream], kinds, ordered)
        found += lines if len(now) == 1 else [f"{stream}: {line}" for line in lines]
    return found


def once_trained_on(before: DataPrint, now: DataPrint, kind: str) -> np.ndarray:
    """Return the positions of the rows of a split that were training rows before."""
    return np.flatnonzero(np.isin(now.splits[kind].keys, _trained_on(before)))


def _trained_on(data: DataPrint) -> np.ndarray:
    return np.concatenate([data.splits[k].keys for k in ("train", "pool") if k in data.splits])


def _expected(data: DataPrint, kind: str) -> float:
    """Return the share of a split that may be training rows by chance; 0 where none of it is."""
    usual = len(once_trained_on(data, data, kind)) / max(len(data.splits[kind].keys), 1)
    return usual + 0.1 * (usual > 0)


def _of_data(
    before: DataPrint, now: DataPrint, kinds: Sequence[str], ordered: bool
) -> Iterator[str]:
    for task in {**before.classes, **now.classes}:
        old, new = list(before.classes.get(task, ())), list(now.classes.get(task, ()))
        if old != new:
            yield f"the classes of '{task}' were {_listed(old)}, now {_listed(new)}"
    everything = (_all_keys(before), _all_keys(now))
    for kind in kinds:
        if kind not in before.splits or kind not in now.splits:
            continue
        yield from _of_split(kind, before.splits[kind], now.splits[kind], everything)
        yield from _moved(kind, before, now)
        if ordered and _is_reordered(before.splits[kind], now.splits[kind]):
            yield f"the {_CALLED[kind]} rows are in another order"


def _of_split(
    kind: str, old: SplitPrint, new: SplitPrint, everything: tuple[np.ndarray, np.ndarray]
) -> Iterator[str]:
    gone = np.flatnonzero(~np.isin(old.keys, everything[1]))
    added = np.flatnonzero(~np.isin(new.keys, everything[0]))
    names = {old.name(row) for row in gone.tolist()}
    changed = [row for row in added.tolist() if new.name(row) in names]
    mended = {new.name(row) for row in changed}
    missing = [row for row in gone.tolist() if old.name(row) not in mended]
    fresh = [row for row in added.tolist() if new.name(row) not in names]
    if missing:
        yield f"{_count(missing, old)} missing from {kind}, for example {old.name(missing[0])}"
    if changed:
        yield f"{_count(changed, new)} of {kind} changed, for example {new.name(changed[0])}"
    if fresh:
        yield f"{_count(fresh, new)} new in {kind}, for example {new.name(fresh[0])}"
    if len(old.keys) != len(new.keys):
        yield f"{kind} had {counted(len(old.keys), 'row')}, now {len(new.keys)}"
    relabelled = _relabelled(old, new)
    if len(relabelled):
        first = new.name(int(relabelled[0]))
        yield f"{_count(relabelled, new)} of {kind} with another label, for example {first}"


def _moved(kind: str, before: DataPrint, now: DataPrint) -> Iterator[str]:
    """Yield how many rows came from another split."""
    new = now.splits[kind]
    is_own = np.isin(new.keys, before.splits[kind].keys)
    for other in ("train", "val", "test"):
        if other == kind or other not in before.splits:
            continue
        count = int((np.isin(new.keys, before.splits[other].keys) & ~is_own).sum())
        if count:
            was = f"{_CALLED[other]} row{'s' if count > 1 else ''}"
            yield (
                f"{count} of {len(new.keys)} {_CALLED[kind]} rows "
                f"{'were' if count > 1 else 'was a'} {was}"
            )


def _relabelled(old: SplitPrint, new: SplitPrint) -> np.ndarray:
    """Return the rows that were there before with other labels only."""
    was_there = np.isin(new.keys, old.keys)
    same = np.isin(joined(new.keys, new.labels), joined(old.keys, old.labels))
    return np.flatnonzero(was_there & ~same)


def _is_reordered(old: SplitPrint, new: SplitPrint) -> bool:
    if len(old.keys) != len(new.keys) or np.array_equal(old.keys, new.keys):
        return False
    return np.array_equal(np.sort(old.keys), np.sort(new.keys))


def _all_keys(data: DataPrint) -> np.ndarray:
    return np.concatenate([split.keys for split in data.splits.values()])


def _count(rows: Sequence[int] | np.ndarray, split: SplitPrint) -> str:
    return f"{len(rows)} {split.noun}{'s' if len(rows) > 1 else ''}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5]) or "none"
    return f"{shown}, … ({len(names)})" if len(names) > 5 else shown


def overlap_lines(found: Fingerprint, unlabelled: Collection[str] = ()) -> list[str]:
    """Return a line for each split of which most rows are training rows, by their inputs.

    Where training rows repeat each other, as in tables of a few categories, others repeat them
    without harm: nothing is said of these.

    Args:
        found: the rows of a run.
        unlabelled: streams that are learned from without labels; published protocols of
            adaptation score the very rows that were adapted to.
    """
    lines = []
    for stream, data in found.items():
        if stream in unlabelled or "train" not in data.splits:
            continue
        keys = data.splits["train"].keys
        if len(np.unique(keys)) < (1 - _USUAL) * len(keys):
            continue
        for kind, called in (("val", "validation"), ("test", "test")):
            split = data.splits[kind]
            repeated = np.flatnonzero(np.isin(split.keys, keys))
            if len(repeated) > _MOST * len(split.keys):
                first = split.name(int(repeated[0]))
                lines.append(
                    f"warning: {stream}: {len(repeated)} of {len(split.keys)} {called} rows are "
                    f"training rows, for example {first}: their scores say nothing of new rows"
                )
    return lines
