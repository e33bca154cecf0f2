"""Fill in what the nodes of tables leave to their files, so that the config is complete.

A table's node that a user writes may name a file and no more. Before the config is checked, its
columns, tasks and modalities are inferred and written into the node: then names are checked as
those of any other data set, and a saved config does not depend on another inference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jlrun.config.auto_values import asks_for_rows, with_auto_values
from jlrun.config.default_fusion import with_fusion
from jlrun.config.folds import folded, num_folds, of_fold
from jlrun.config.nodes import Config, data_nodes, infers, is_image_folder
from jlrun.config.training_rows import num_training_images, num_training_rows
from jlrun.errors import Problem, UserError, did_you_mean

if TYPE_CHECKING:
    from jlrun.data.tables.files.outline import Outline
    from jlrun.data.tables.files.request import Request

# Strategies of transfer that learn from a target with a few labels or none.
_WITHOUT_LABELS = ("adapt", "joint", "generalize")
# What is checked against the tasks and modalities of data sets.
_DEPENDENT = ("tasks", "modalities", "mode", "fusion", "backbone")


@dataclass(frozen=True)
class Inference:
    """A config with complete nodes of tables.

    Attributes:
        config: the config.
        lines: what was inferred, and why.
        problems: what is wrong with tables; their nodes are as they were.
        unknown: config paths of those.
        of_folds: values of each fold that differ from the config, where folds go forward in time.
    """

    config: dict[str, Any]
    lines: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    unknown: tuple[str, ...] = ()
    of_folds: tuple[Config, ...] = ()

    def problems_before(self, others: Sequence[Problem]) -> list[Problem]:
        """Return the problems of tables, then the others that do not follow from them."""
        if not self.unknown:
            return [*self.problems, *others]
        places = tuple(f"{key}." for key in (*self.unknown, *_DEPENDENT))
        return [*self.problems, *(p for p in others if not f"{p.where}.".startswith(places))]


def with_tables(config: dict[str, Any], overrides: Sequence[str] = ()) -> Inference:
    """Return the config completed from its tables' files, and by the rows of folders of images.

    No PyTorch is imported.

    Args:
        config: resolved.
        overrides: those of the user, whose choices stay as they are.
    """
    paths = [path for path, node in data_nodes(config).items() if infers(node)]
    rows = _rows_of_folders(config)
    if not paths:
        return _completed(config, _total(rows, config), overrides)
    config = deepcopy(config)
    lines, problems, unknown = list[str](), list[Problem](), list[str]()
    outlines: dict[str, Outline] = {}
    nodes = data_nodes(config)
    for path, node in sorted(nodes.items(), key=lambda item: item[0] == "target"):
        if path not in paths or node.get("path") in (None, "???"):
            continue
        try:
            found = _fill(path, node, _known(path, config, nodes), _learns_no_task(config))
            lines += found.lines
            rows[path], outlines[path] = num_training_rows(node, found), found
        except UserError as error:
            problems += error.problems
            unknown.append(path)
    num_rows = _total(rows, config)
    found = _completed(config, num_rows, overrides)
    path = folded(config)
    if num_rows is not None and path in outlines and nodes[path].get("time_by") is not None:
        others = num_rows - rows[path]
        each = _rows_of_folds(config, path, outlines[path])
        found = _with_folds(found, [_completed(config, others + n, overrides) for n in each])
    return replace(
        found, lines=(*lines, *found.lines), problems=tuple(problems), unknown=tuple(unknown)
    )


def _rows_of_folders(config: Config) -> dict[str, int]:
    """Return config path -> training rows of each folder of images, if any value depends on them.

    What is wrong with a folder is reported where it is read.
    """
    rows = dict[str, int]()
    for path, node in data_nodes(config).items() if asks_for_rows(config) else ():
        with suppress(UserError):
            found = num_training_images(node) if is_image_folder(node) else None
            rows |= {} if found is None else {path: found}
    return rows


def _total(rows: Mapping[str, int], config: Config) -> int | None:
    """Return the training rows of all data sets; None if some are not known."""
    return sum(rows.values()) if rows and rows.keys() == data_nodes(config).keys() else None


def _rows_of_folds(config: Config, path: str, found: Outline) -> list[int]:
    """Return the training rows of each fold; none while the numbers of folds are not valid."""
    numbers = [data_nodes(config)[path].get(key) for key in ("folds", "repeats")]
    if not all(type(number) is int and number > 0 for number in numbers):
        return []
    nodes = (data_nodes(of_fold(config, path, i))[path] for i in range(num_folds(config, path)))
    return [num_training_rows(node, found) for node in nodes]


def _with_folds(whole: Inference, folds: Sequence[Inference]) -> Inference:
    """Return an inference for all folds, with what each of them has otherwise, and why."""
    values = tuple(
        {key: value for key, value in fold.config.items() if value != whole.config.get(key)}
        for fold in folds
    )
    if not any(values):
        return whole
    own = [f"fold {i}: {line}" for i, fold in enumerate(folds) for line in fold.lines]
    return replace(whole, lines=tuple(own), of_folds=values)


def _completed(config: Config, num_rows: int | None, overrides: Sequence[str]) -> Inference:
    """Return a config with values that follow from its rows and modalities."""
    chosen, lines = with_auto_values(config, num_rows)
    fused, more = with_fusion(chosen, overrides)
    return Inference(fused, (*lines, *more))


def _known(path: str, config: Config, nodes: Mapping[str, Config]) -> dict[str, Any]:
    """Return task -> kind of what a target need not have labels for, since its sources do."""
    from jlrun.data.tables.files.kinds import TASK_OF_KIND

    if path != "target" or config.get("strategy") not in _WITHOUT_LABELS:
        return {}
    kinds = {node["_target_"]: kind for kind, node in TASK_OF_KIND.items()}
    tasks = [node.get("tasks") for name, node in nodes.items() if name != "target"]
    return {
        str(task): kinds[node["_target_"]]
        for each in tasks
        if isinstance(each, Mapping)
        for task, node in each.items()
        if isinstance(node, Mapping) and node.get("_target_") in kinds
    }


def _learns_no_task(config: Config) -> bool:
    pretraining = config.get("pretraining")
    return isinstance(pretraining, Mapping) and pretraining.get("only") is True


def _fill(path: str, node: Any, known: Mapping[str, Any], inputs_alone: bool) -> Outline:
    """Complete a table's node from its file, and return the outline with what was inferred."""
    from jlrun.data.tables.files.kinds import TASK_OF_KIND
    from jlrun.data.tables.files.layout import format_of
    from jlrun.data.tables.files.outline import outline
    from jlrun.data.tables.files.request import check_distinct_files

    files = {key: node.get(key) for key in ("path", "val_path", "test_path")}
    for key, file in files.items():
        if isinstance(file, str) and not file.strip():
            fix = "name the table" if key == "path" else "name a table, or leave it out"
            raise UserError.of(f"{path}.{key}", f"is empty; {fix}")
    request = replace(request_of(path, node), known=known, inputs_alone=inputs_alone)
    check_distinct_files({k: v for k, v in files.items() if isinstance(v, str)}, path)
    for key in ("val_path", "test_path"):
        if isinstance(node.get(key), str):
            format_of(Path(node[key]).expanduser(), f"{path}.{key}")
    found = outline(request)
    node["columns"] = dict(found.columns)
    node["targets"] = {task: target.to_plain() for task, target in found.targets.items()}
    node["split_column"], node["group_by"] = found.split_column, found.group_by
    node["time_by"] = found.time_by
    for kind in ("image", "audio", "series"):
        node[kind] = asdict(getattr(found, kind))
    reading = dict(node.get("reading") or {})
    if found.reading.thousands is not None:
        reading["thousands"] = found.reading.thousands
    reading["columns"] = {name: own.to_plain() for name, own in found.reading.columns.items()}
    node["reading"] = reading
    node["modalities"] = list(found.modalities(request.join_texts))
    said = _said(path, node, tuple(found.targets), known)
    node["tasks"] = {
        task: {**TASK_OF_KIND[target.kind], **said.get(task, {})}
        for task, target in found.targets.items()
    }
    return found


def _said(
    path: str, node: Mapping[str, Any], tasks: Sequence[str], known: Mapping[str, Any]
) -> dict[str, Mapping[str, Any]]:
    """Return task -> the keys of it that the user set, whatever the case of its name.

    Raises:
        UserError: with each task that the table does not have, unless it is ``known`` elsewhere.
    """
    from jlrun.data.tables.files.column_names import same_name

    given = node.get("tasks")
    said, problems = dict[str, Mapping[str, Any]](), list[Problem]()
    for name, keys in given.items() if isinstance(given, Mapping) else ():
        where = f"{path}.tasks.{name}"
        task = same_name(name, tasks, where)
        if task is None and name not in known:
            hint = did_you_mean(str(name), tasks)
            problems.append(Problem(where, f"the table has no task '{name}'.{hint}"))
        elif task in said:
            problems.append(Problem(where, f"the task '{task}' is set twice"))
        elif task is not None and isinstance(keys, Mapping):
            said[task] = keys
    if problems:
        raise UserError(problems)
    return said


def request_of(path: str, node: Mapping[str, Any]) -> Request:
    """Return the description of a table in its node.

    Raises:
        UserError: for values of a wrong type.
    """
    from pydantic import TypeAdapter, ValidationError

    from jlrun.config.messages import problems_of, validate
    from jlrun.data.tables.files.request import TYPES, Request

    typed, problems = dict[str, Any](), list[Problem]()
    for name, kind in TYPES.items():
        try:
            typed[name] = validate(TypeAdapter(kind), node.get(name))
        except ValidationError as error:
            problems += problems_of(f"{path}.{name}", node.get(name), error)
    if problems:
        raise UserError(problems)
    text, category = typed.pop("text"), typed.pop("category")
    return Request(
        **{**typed, "path": Path(typed["path"]).expanduser()},
        where=path,
        join_texts=text.join,
        max_levels=category.max_levels,
    )
