"""Data changed under a run: a table whose rows are other ones, or in another place."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.reliability import children
from tests.reliability.children import End, run
from tests.reliability.faults import Outcome, Workshop
from tests.reliability.runs import SMALL

TABLE = [
    *("mode=multitask", "dataset=table", "dataset.path=rows.csv", "dataset.targets=[label,kind]"),
    *(option for option in SMALL if not option.startswith(("backbone", "dataset"))),
]
ROWS = 48


def changed_data(shop: Workshop) -> Iterator[Outcome]:
    """Change a table under a run that is half done, and under a finished one."""
    table = shop.folder / "rows.csv"
    whole, half = (shop.folder / f"table_{name}" for name in ("whole", "half"))
    lines = [
        f"{'abc'[i % 3]},{i * 37 % ROWS},{'yes' if i * 37 % ROWS > 20 else 'no'}\n"
        for i in range(ROWS)
    ]
    header = "kind,size,label\n"
    table.write_text(header + "".join(lines))
    assert run([*TABLE, f"hydra.run.dir={whole.name}"], shop.folder).code == 0
    kill = children.signal_at_change(signal.SIGKILL, half, shop.num_changes * 2 // 3)
    end = run([*TABLE, f"hydra.run.dir={half.name}"], shop.folder, kill)
    assert end.code == -signal.SIGKILL, end
    for change, (edit, is_another) in CHANGES.items():
        table.write_text(header + "".join(edit(list(lines))))
        for verb, source in (("resume", half), ("evaluate", whole), ("diagnose", whole)):
            place = shop.new()
            shutil.copytree(source, place)
            kind = f"{'other data' if is_another else 'the same data, written anew'}: `{verb}`"
            yield Outcome(kind, change, _came(run(_command(verb, place), shop.folder), is_another))


def _command(verb: str, place: Path) -> list[str]:
    more = ["--batches", "1"] if verb == "diagnose" else []
    return [verb, place.name, *more]


def _came(end: End, is_another: bool) -> str:
    if not is_another:
        return "unharmed" if end.code == 0 else f"ended with {end.code}: {end.err[-400:]}"
    told = end.lines and "the data is not what the run was made with" in end.lines[0]
    if end.code == 2 and told and "Traceback" not in end.err:
        return "one line"  # and what has changed below it
    return f"ended with {end.code}: {end.err[-400:]}"


def _relabelled(lines: list[str]) -> list[str]:
    first = lines[0].replace("yes", "no") if "yes" in lines[0] else lines[0].replace("no", "yes")
    return [first, *lines[1:]]


# What is done to the rows, and whether they are others then.
CHANGES: dict[str, tuple[Callable[[list[str]], list[str]], bool]] = {
    "a row deleted": (lambda lines: lines[:-1], True),
    "a row added": (lambda lines: [*lines, "a,99,yes\n"], True),
    "all labels turned": (
        lambda lines: [
            f"{line[:-4]}no\n" if "yes" in line else f"{line[:-3]}yes\n" for line in lines
        ],
        True,
    ),
    "a label changed": (_relabelled, True),
    "rows in reverse": (lambda lines: lines[::-1], True),
    "the other line ends": (lambda lines: [line.replace("\n", "\r\n") for line in lines], False),
    "written again": (lambda lines: lines, False),
}
