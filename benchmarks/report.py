"""Report of a benchmark: a table on the screen, and as JSON and Markdown with where it was run."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.alternation import Comparison, Spread
from jlrun.files.atomic import write_json, write_text

PACKAGES = ("jlrun", "torch", "torchvision", "torchmetrics", "numpy", "hydra-core")


def machine(threads: int) -> dict[str, Any]:
    """Return what the figures depend on: hardware, versions, threads."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": gpu,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 1),
        "versions": {name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    found = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.processor())


def table(comparisons: Sequence[Comparison]) -> str:
    """Return the comparisons as a Markdown table, and what its figures are."""
    lines = [
        "Medians (quartiles) over rounds in which both were timed in turns; a ratio is of the two "
        "times of a round.",
        "",
        "| case | reference | jlrun | reference takes | ratio | ratio of CPU time |",
        "|---|---|---|---|---|---|",
    ]
    for each in comparisons:
        cells = [
            *(each.case, each.reference),
            *(_told(each.seconds(who), each.unit) for who in ("ours", "theirs")),
            *(str(each.ratio(clock)) for clock in ("wall", "cpu")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write(
    folder: Path,
    name: str,
    told: str,
    found: Sequence[Any],
    arguments: Sequence[str],
    tables: str,
    threads: int,
) -> None:
    """Write ``NAME.json``, with every sample, and ``NAME.md``.

    Args:
        folder: of the results; made if need be.
        name: of the benchmark.
        told: what it measures, Markdown.
        found: what was found: data classes.
        arguments: of the command.
        tables: of what was found, Markdown.
        threads: of PyTorch, while it was measured.
    """
    where = machine(threads)
    command = shlex.join(["python", "-m", "benchmarks", *arguments])
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"command": command, "machine": where, "comparisons": [*map(asdict, found)]}
    write_json(folder / f"{name}.json", whole)
    versions = ", ".join(f"{package} {number}" for package, number in where["versions"].items())
    gpu = f", {where['gpu']}" if where["gpu"] else ""
    lines = [
        f"# {name}",
        "",
        told,
        "",
        tables,
        "",
        f"    {command}",
        "",
        f"{where['processor']}, {where['cores']} cores{gpu}, {where['threads']} thread"
        f"{'' if where['threads'] == 1 else 's'}, load {where['load']}; {where['system']}, Python "
        f"{where['python']}; {versions}.",
        "",
    ]
    write_text(folder / f"{name}.md", "\n".join(lines))


def _told(seconds: Spread, unit: str) -> str:
    if unit == "step":
        return f"{1000 * seconds.median:.2f} ms a step"
    if unit == "image":
        return f"{1 / seconds.median:,.0f} images/s"
    return f"{seconds.median:.2f} s"
