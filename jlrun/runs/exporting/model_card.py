"""Model card: what a reader of an exported model must know of its data, scores and limits.

The sections of Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, as far as the files
of a run answer them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jlrun.errors import UserError
from jlrun.files.atomic import REWRITE, reading
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.closing_lines import closing_facts
from jlrun.reporting.recorders.formats import format_score
from jlrun.reporting.recorders.result_table import full_table
from jlrun.reporting.recorders.verdict import verdict
from jlrun.runs import fingerprints
from jlrun.runs.listing.found import COMPLETED, Found, find_runs
from jlrun.runs.local_paths import without_folders
from jlrun.runs.report.setup import command_of, setup_facts

CARD = "MODEL_CARD.md"
_INTERVALS = "± is half of the 95 % interval over the test rows; the test split was read once."


def model_card(directory: Path, about: Sequence[str] = (), use: Sequence[str] = ()) -> str:
    """Return the card of a run's model, Markdown; what the run's files lack is left out.

    Args:
        directory: of the run.
        about: paragraphs on what was exported.
        use: paragraphs on how it is used.

    Raises:
        UserError: if a file of the run is damaged.
    """
    (run, *_) = find_runs(directory)
    with reading(RunDirectory(directory).result, REWRITE):
        sections = {
            "": [*_summary(run), *about],
            "Use": use,
            "Data": list(_data(run)),
            "Scores": list(_scores(run)),
            "Calibration": list(_calibration(run)),
            "Missing modalities": list(_missing(run)),
            "Training": list(_training(run)),
            "Limits": [_bullets(_limits(run))],
        }
    parts = [f"# Model card: {_title(directory.resolve())}"]
    for title, paragraphs in sections.items():
        found = [text for text in paragraphs if text]
        parts += [*([f"## {title}"] if title and found else []), *found]
    return "\n\n".join(parts) + "\n"


def _title(directory: Path) -> str:
    """Return the name of a run; that of a job of a sweep, a number, after the sweep's."""
    name = directory.name
    return f"{directory.parent.name}/{name}" if name.isdigit() else name


def _summary(run: Found) -> Iterator[str]:
    facts = setup_facts(run)
    yield _bullets([*facts["tasks"], *facts["inputs"], *facts["model"]])
    if run.status == COMPLETED and run.result.get("test"):
        yield " ".join(verdict(run.result)) or "The run has no baselines, so it shows no gain."


def _data(run: Found) -> Iterator[str]:
    yield without_folders(_bullets(setup_facts(run)["data"]))
    found = None
    with suppress(UserError):  # a damaged one says nothing
        found = fingerprints.read(run.directory)
    if found:
        prints = [f"`{stream}` {value}" for stream, value in fingerprints.digests(found).items()]
        yield (
            f"Fingerprint of rows, labels and splits: {', '.join(prints)}. A run on the same data "
            "has the same."
        )


def _scores(run: Found) -> Iterator[str]:
    if not _is_scored(run):
        yield "The run has no test scores."
        return
    table = full_table(run.result)
    yield _table(table.header, table.rows)
    yield _INTERVALS if run.result.get("intervals") else "The test split was read once."
    yield "All test scores:"
    yield _table(("task", "metric", "score", "95 % interval"), list(_every_score(run.result)))
    yield _bullets(closing_facts(run.result)["no scores"])


def _every_score(result: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    intervals = (result.get("intervals") or {}).get("test") or {}
    for task, metrics in result["test"].items():
        for metric, value in metrics.items():
            ends = (intervals.get(task) or {}).get(metric)
            shown = " to ".join(map(format_score, ends)) if ends else ""
            yield task, metric, format_score(value), shown


def _calibration(run: Found) -> Iterator[str]:
    if _is_scored(run):
        facts = closing_facts(run.result)
        yield _bullets([*facts["calibrated"], *facts["tuned"]])


def _missing(run: Found) -> Iterator[str]:
    if _is_scored(run):
        facts = closing_facts(run.result)
        for lines in (facts["modalities"], facts["missing"]):
            yield "\n".join(["```", *lines, "```"]) if lines else ""


def _training(run: Found) -> Iterator[str]:
    facts = setup_facts(run)
    if run.overrides:
        yield without_folders(f"```\n{command_of(run)}\n```")
    done = closing_facts(run.result) if _is_scored(run) else {"selected": [], "cost": []}
    named = {
        "recipe": facts["recipe"],
        "selected": done["selected"],
        "cost": done["cost"],
        "device": facts["device"],
        "versions": facts["versions"],
    }
    yield _bullets(f"{label}: {'; '.join(lines)}" for label, lines in named.items() if lines)


def _limits(run: Found) -> Iterator[str]:
    result = run.result
    if run.status != COMPLETED:
        yield f"The run is not complete ({run.status})."
    if not _is_scored(run):
        return
    yield (
        "Scores are of the test rows above: rows of other places, times, devices or people were "
        "not tried."
    )
    yield (
        f"One training with seed {result['seed']}: intervals are those of the test rows, and leave "
        "out how much another seed changes."
    )
    if not result.get("baselines"):
        yield "Nothing was trained to compare with: no gain is shown."
    if not result.get("objective"):
        yield "There were no validation rows: the weights are those of the last epoch."
    if not result.get("calibration"):
        yield "Probabilities are as trained: no temperature was fitted to them."
    never = sorted({str(name) for name in (result.get("missing") or {}).get("never_missing") or ()})
    if never:
        yield f"No training row lacked {', '.join(never)}: rows without are strange to the model."
    for task, classes in (result.get("per_class") or {}).items():
        few = [name for name, found in classes.items() if found["rows"] < 10]
        if few:
            shown = ", ".join(few[:5]) + (", …" if len(few) > 5 else "")
            yield f"{task}: fewer than 10 test rows of {len(few)} classes ({shown})."


def _is_scored(run: Found) -> bool:
    return run.status == COMPLETED and bool(run.result.get("test"))


def _bullets(lines: Any) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.strip().replace("|", "\\|")
