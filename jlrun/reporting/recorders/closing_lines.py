"""Lines after the table of results: which model was kept, the cost, where files lie."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jlrun.files.run_directory import OUTPUTS
from jlrun.reporting.recorders.calibration_lines import calibration_lines, threshold_lines
from jlrun.reporting.recorders.formats import (
    MISSING,
    format_count,
    format_difference,
    format_score,
    format_seconds,
)
from jlrun.reporting.recorders.header_lines import fact_lines, short_path
from jlrun.reporting.recorders.result_table import ResultTable, primary_metric, score_of

LEAVE_ONE_OUT = "leave_one_domain_out"


def closing_lines(result: Mapping[str, Any], run_dir: Path) -> list[str]:
    """Return aligned lines for the end of a run."""
    places = {"results": [short_path(run_dir)], "curves": [_board(run_dir)]}
    return fact_lines({**closing_facts(result), **places})


def closing_facts(result: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return label -> lines on a result besides its table; none where there is nothing to say."""
    return {
        "zero-shot": zero_shot_lines(result),
        "labels": _labels(result),
        "calibrated": calibration_lines(result),
        "tuned": threshold_lines(result),
        "modalities": contribution_lines(result),
        "missing": missing_lines(result),
        "retrieval": retrieval_lines(result),
        "by name": prompt_lines(result),
        "no scores": _unscored(result),
        "folds": _folds(result),
        "selected": _selected(result),
        "left out": _left_out(result),
        "epochs": _other_epochs(result),
        "gap": _gap(result),
        "between": _between(result),
        "cost": _cost(result.get("cost") or {}),
    }


def _board(run_dir: Path) -> str:
    """Return the command that shows the curves of a run, with others of its default folder."""
    path = short_path(run_dir)
    among_others = Path(path).parts[0] == OUTPUTS
    return "jlrun board" if among_others else f"jlrun board {shlex.quote(path)}"


def _labels(result: Mapping[str, Any]) -> list[str]:
    """Return how many labels the scores of a task leave out."""
    lines = []
    for task, scores in (result.get("test") or {}).items():
        count = int(scores.get("labels_left_out") or 0)
        if count:
            what = "label occurs" if count == 1 else "labels occur"
            lines.append(f"{task}: {count} {what} in no test row, and macro_f1 leaves them out")
    return lines


def _selected(result: Mapping[str, Any]) -> list[str]:
    selected, objective = result.get("selected"), result.get("objective")
    if not selected:
        return []
    text = f"{selected['phase']}, epoch {selected['epoch']}"
    if selected.get("by") == "last":
        text += ", the last: there are no validation scores to select by"
    if objective and not result.get(LEAVE_ONE_OUT):  # which is another objective
        text += f" ({objective['name']} {format_score(objective['value'])})"
    return [text]


def _folds(result: Mapping[str, Any]) -> list[str]:
    """Return the spread of the main metric of each task over folds, and its interval."""
    found = result.get("folds")
    if not found:
        return []
    lines = [f"scores are means over {len(found['each'])} folds, ± standard deviation between them"]
    for task, spreads in found["spread"].items():
        metric = primary_metric(result, task)
        if metric not in spreads:
            continue
        mean, spread = (format_score(s) for s in (result["test"][task][metric], spreads[metric]))
        line = f"{task} {metric} {mean} ± {spread}"
        ends = result["intervals"]["test"].get(task, {}).get(metric)
        if ends:
            line += f", 95 % interval {format_score(ends[0])} to {format_score(ends[1])}"
        lines.append(line)
    return [*lines, "out-of-fold predictions: out_of_fold.csv"] if found["pooled"] else lines


def _unscored(result: Mapping[str, Any]) -> list[str]:
    """Return which tasks have no test score, and why."""
    return [f"{task}: {why}" for task, why in (result.get("unscored") or {}).items()]


def _left_out(result: Mapping[str, Any]) -> list[str]:
    """Return the recipe's scores on each source that it was trained without."""
    found = result.get(LEAVE_ONE_OUT)
    if not found:
        return []
    lines = []
    for source in (name for name in found if name != "mean"):
        scores = ", ".join(f"{task} {format_score(s)}" for task, s in found[source].items())
        lines.append(f"{source}, trained without it: {scores}")
    return [*lines, f"mean {format_score(found['mean'])}: what a sweep should compare"]


def _other_epochs(result: Mapping[str, Any]) -> list[str]:
    """Return what other epochs would have scored on the test split."""
    lines = []
    for task in result["test"] if result.get("oracle") else ():
        metric = primary_metric(result, task)
        found = {"selected": result["test"], "last": result["last"], "oracle": result["oracle"]}
        by_epoch = {name: score_of(table, task, metric) for name, table in found.items()}
        scores = ", ".join(f"{name} {format_score(score)}" for name, score in by_epoch.items())
        lines.append(f"test {task} {metric} of epochs: {scores} (best on the test itself)")
    return lines


def _gap(result: Mapping[str, Any]) -> list[str]:
    closed = (result.get("gain") or {}).get("gap_closed_percent") or {}
    each = ", ".join(f"{task} {percent:.0f} %" for task, percent in closed.items())
    return [f"closed between sources alone and a labelled target: {each}"] if closed else []


def _between(result: Mapping[str, Any]) -> list[str]:
    """Return which model between the weights before and after fine-tuning validation selects."""
    for point in result.get("wise_ft") or ():
        if point["selected"]:
            scores = ", ".join(
                f"{task} {format_score(metrics[primary_metric(result, task)])}"
                for task, metrics in point["test"].items()
            )
            return [f"selected share of fine-tuning {point['alpha']:g}: test {scores} (WiSE-FT)"]
    return []


def _cost(cost: Mapping[str, float | None]) -> list[str]:
    texts = []
    if (value := cost.get("train_seconds")) is not None:
        texts.append(f"{format_seconds(value)} of training")
    if (value := cost.get("samples_per_second")) is not None:
        texts.append(f"{format_count(value)} samples/s")
    if (value := cost.get("peak_memory_bytes")) is not None:
        texts.append(f"{format_count(value / 1e6)} MB at most")
    return [", ".join(texts)] if texts else []


MAX_NAMES = 12
NEVER_MISSING = (
    "* in (nearly) every training row: rows without it are strange to the model,",
    "  which these numbers measure, too; modality_dropout trains for such rows",
)


def zero_shot_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the scores of ``result.json``'s ``zero_shot``; none for other runs."""
    found = result.get("zero_shot")
    if not found:
        return []
    unseen, chance = found["unseen_classes"], found["chance"]
    names = ", ".join(unseen[:MAX_NAMES]) + (", …" if len(unseen) > MAX_NAMES else "")
    total = len(unseen) + len(found["seen_classes"])
    lines = [
        f"{len(unseen)} of {total} classes unseen: {names}",
        f"among unseen {_score(found, 'zsl_accuracy')} (chance {_score(chance, 'zsl_accuracy')})",
        f"among all    {_generalised(found)}, area {_score(found, 'ausuc')}",
    ]
    if found["calibrated"]:
        lines.append(f"calibrated   {_generalised(found['calibrated'])}")
    return lines


def _generalised(found: Mapping[str, Any]) -> str:
    parts = {"unseen": "unseen_accuracy", "seen": "seen_accuracy", "harmonic mean": "harmonic_mean"}
    return ", ".join(f"{label} {_score(found, name)}" for label, name in parts.items())


def _score(found: Mapping[str, Any], name: str) -> str:
    return format_score(found.get(name))


def retrieval_lines(result: Mapping[str, Any]) -> list[str]:
    """Return a line per pair of modalities of each space: recall at 1, 5, 10 both ways."""
    found = result.get("retrieval") or {}
    lines = []
    for space, pairs in found.items():
        prefix = f"{space}, " if len(found) > 1 else ""
        for directions in pairs.values():
            lines += [f"{prefix}{way}: {_recalls(scores)}" for way, scores in directions.items()]
    return lines


def prompt_lines(result: Mapping[str, Any]) -> list[str]:
    """Return a line per task and modality: accuracy of classification by class names."""
    found = result.get("shared_space") or {}
    lines = []
    for space, content in found.items():
        prefix = f"{space}, " if len(found) > 1 else ""
        for task, modalities in content["prompts"].items():
            rows = {m: scores for m, scores in modalities.items() if isinstance(scores, Mapping)}
            for modality, scores in rows.items():
                text = ", ".join(_accuracies(scores))
                lines.append(f"{prefix}{task} by {modality}: {text}")
    return lines


def _recalls(scores: Mapping[str, float]) -> str:
    shares = " / ".join(format_score(scores[f"recall_at_{k}"]) for k in (1, 5, 10))
    median, chance = scores["median_rank"], scores["chance_at_1"]
    return f"R@1/5/10 {shares}, median rank {median:g} (chance at 1 {format_score(chance)})"


def _accuracies(scores: Mapping[str, float]) -> Iterator[str]:
    yield f"{format_score(scores['accuracy'])} (chance {format_score(scores['chance'])})"
    if "unseen_accuracy" in scores:
        yield f"on unseen classes {format_score(scores['unseen_accuracy'])}"
        among, chance = scores["among_unseen"], scores["chance_among_unseen"]
        yield f"among these alone {format_score(among)} (chance {format_score(chance)})"


def contribution_lines(result: Mapping[str, Any]) -> list[str]:
    """Return a table of ``result.json``'s ``contribution``; nothing for other runs.

    Of each modality: the score with it alone, with all others, and its Shapley value.
    """
    rows = []
    for task, shares in (result.get("contribution") or {}).items():
        none, every = format_score(shares["none"]), format_score(shares["all"])
        rows.append((f"{task} {shares['metric']} (none {none}, all {every})", "", "", ""))
        for modality, value in shares["shapley"].items():
            scores = map(format_score, (shares["alone"][modality], shares["without"][modality]))
            mark = " *" if modality in shares.get("never_missing", ()) else ""
            rows.append((f"  {modality}{mark}", *scores, format_difference(value)))
    header = ("test", "alone", "without", "adds")
    return [*ResultTable(header, tuple(rows)).lines(), *_foreign_lines(result)] if rows else []


def _foreign_lines(result: Mapping[str, Any]) -> list[str]:
    """Return lines on modalities that the model never learned to do without, if there are any."""
    found = (result.get("missing") or {}).get("never_missing")
    return [*NEVER_MISSING] if found else []


def missing_lines(result: Mapping[str, Any]) -> list[str]:
    """Return a table of ``result.json``'s ``missing``: the scores at each rate, and the worst
    subset; nothing for other runs.
    """
    found = result.get("missing")
    if not found:
        return []
    rates = [f"{100 * point['rate']:g} %" for point in found["rates"]]
    rows = []
    for task, summary in found["summary"].items():
        metric, worst = summary["metric"], summary["worst_subset"]
        scores = [point["test"].get(task, {}).get(metric) for point in found["rates"]]
        worst_score = MISSING if worst is None else f"{format_score(summary['worst'])} ({worst})"
        area = format_score(summary["area"])
        rows.append((f"{task} {metric}", *map(format_score, scores), area, worst_score))
    return ResultTable(("lost at random", *rates, "area", "worst"), tuple(rows)).lines()
