"""Checks that the data of a run has not changed since."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jlrun.errors import UserError
from jlrun.runs.fingerprints.comparison import differences, once_trained_on
from jlrun.runs.fingerprints.fingerprint import Fingerprint, read

SPLITS = ("train", "val", "test")
_UNKNOWN = "has no fingerprint of its data, so that changes of the data can't be noticed"


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
            usual = len(once_trained_on(old, old, kind)) / max(len(old.splits[kind].keys), 1)
            where = kind if len(now) == 1 else f"{kind} of {stream}"
            line = f"{where}: {len(repeated)} of {count} rows were training rows of the run"
            if len(repeated) > count * (usual + 0.1 * (usual > 0)):
                first = new.splits[kind].name(int(repeated[0]))
                wrong.append(f"{line}, for example {first}")
            elif differences({stream: old}, {stream: new}, [kind], ordered=False):
                lines.append(f"{line}; the run was made with other rows")
    if wrong:
        message = "these rows are no test of the run:\n  " + "\n  ".join(wrong)
        raise UserError.of(str(directory), message)
    return lines
