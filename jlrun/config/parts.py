"""Checks across the parts of a config that need no class: tasks, modalities, fusion, mode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jlrun.config.folds import check_folds
from jlrun.config.nodes import (
    SEVERAL,
    SOURCES,
    backbone_key,
    data_nodes,
    infers,
    kind_of,
    learned_start,
    task_labels,
    used_nodes,
)
from jlrun.config.options import package_folder
from jlrun.errors import Problem, did_you_mean

Config = Mapping[str, Any]


def check_parts(config: Config, overrides: Sequence[str] = ()) -> list[Problem]:
    """Return incompatible choices. Values of a wrong type are left to the schema.

    Args:
        config: a resolved config.
        overrides: those of the user, to report choices without effect.
    """
    problems = [problem for check in _CHECKS for problem in check(config)]
    idle = (*_backbones_without_input(config, overrides), *_heads_without_task(config, overrides))
    return [*problems, *idle]


def chosen_modalities(config: Config) -> list[str]:
    """Return the modalities a run uses: those asked for, or all that the data set has."""
    asked = _names(config.get("modalities"))
    if asked:
        return asked
    nodes = used_nodes(config)
    by_path = {path: _names(node.get("modalities")) for path, node in nodes.items()}
    offered = list(by_path.values())
    leading = by_path.get("target", offered[0]) if offered else []
    return [name for name in leading if all(name in o for o in offered)]


def _datasets(config: Config) -> Iterator[Problem]:
    mode, nodes = config.get("mode"), data_nodes(config)
    several = [path for path in nodes if path.startswith(f"{SEVERAL}.")]
    if several and mode != "multitask":
        message = f"only mode=multitask takes several data sets, and this is mode={mode}"
        yield Problem(SEVERAL, message)
        return
    used = _transferred(config, nodes) if mode == "transfer" else several or ["dataset"]
    leave_out = "; ~dataset leaves it out" if several else ""
    for path in nodes.keys() - set(used):
        yield Problem(path, f"{_what(config)} takes {' and '.join(used)} instead{leave_out}")
    for key in used:
        node = nodes.get(key)
        if node is None:
            group = f"dataset@{key}" if key != "dataset" else key
            yield Problem(key, f"there is no data set; choose one with {group}=…")
            continue
        if infers(node):
            continue  # `with_tables` reports the reason
        if not (isinstance(node.get("tasks"), Mapping) and node["tasks"]):
            yield Problem(f"{key}.tasks", "a data set names its tasks, as in its YAML file")
        if not _names(node.get("modalities")):
            yield Problem(f"{key}.modalities", "a data set lists its modalities, as in [image]")


def _transferred(config: Config, nodes: Mapping[str, Config]) -> list[str]:
    """Return the keys of the data sets of a transfer."""
    strategy, start = config.get("strategy"), learned_start(config)
    if strategy == "zero_shot" or (start and strategy in (None, "finetune")):
        return ["target"]
    several = [path for path in nodes if path.startswith(f"{SOURCES}.")]
    return [*(several or ([] if start else ["source"])), "target"]


def _what(config: Config) -> str:
    if config.get("strategy") == "zero_shot":
        return "strategy=zero_shot"
    return "a source of weights" if learned_start(config) else f"mode={config.get('mode')}"


def _sources(config: Config) -> Iterator[Problem]:
    """Check what strategies need of their sources."""
    strategy, weights = config.get("strategy"), config.get("source_weights")
    if len(learned_start(config)) > 1:
        yield Problem("source", "run and weights are both set; the model begins with one of them")
    names = list(config["sources"]) if isinstance(config.get("sources"), Mapping) else []
    if learned_start(config) and strategy not in (None, "finetune", "zero_shot") and not names:
        start = f"source.{next(iter(learned_start(config)))}"
        yield Problem(
            start, f"strategy={strategy} also needs a source's data: name it in sources=[…]"
        )
    for name in weights if isinstance(weights, Mapping) else ():
        if name not in names:
            hint = did_you_mean(str(name), names) if names else " There is one source alone."
            yield Problem("source_weights", f"no source '{name}'.{hint}")
    epochs = config.get("pretrain_epochs")
    if strategy == "finetune" and _is_zero(epochs) and not learned_start(config):
        yield Problem("pretrain_epochs", "0 leaves nothing to fine-tune; use 1 or more")


def _sampling(config: Config) -> Iterator[Problem]:
    sampling, weighting = config.get("sampling"), config.get("weighting")
    if not isinstance(sampling, Mapping) or not isinstance(weighting, Mapping):
        return
    separate = (
        sampling.get("_target_") != _target_of("sampling", "all") and len(used_nodes(config)) > 1
    )
    if separate and weighting.get("update_every", 1) != 1:
        message = "the next steps have other tasks than the weights; use 1, or sampling=all"
        yield Problem("weighting.update_every", message)


def _tasks(config: Config) -> Iterator[Problem]:
    asked, nodes = _names(config.get("tasks")), data_nodes(config)
    offered = {path: list(task_labels(path, node).values()) for path, node in nodes.items()}
    known = list(dict.fromkeys(name for names in offered.values() for name in names))
    for name in asked:
        if known and name not in known:
            having = "the data sets have" if len(nodes) > 1 else "the data set has"
            yield Problem("tasks", f"{having} no task '{name}'.{did_you_mean(name, known)}")
    wanted = [name for name in asked if name in known]
    for key, names in offered.items():
        unfit = wanted and names and not set(wanted) & set(names)
        if unfit and not key.startswith(f"{SEVERAL}."):  # of several, those without are not used
            listed = ", ".join(names)
            yield Problem("tasks", f"{key} has none of [{','.join(wanted)}]; it has {listed}")


def _balanced_rows(config: Config) -> Iterator[Problem]:
    for path, node in data_nodes(config).items():
        asked, tasks = node.get("balanced_by"), node.get("tasks")
        if asked is None or not isinstance(tasks, Mapping) or not tasks:
            continue
        where, names = f"{path}.balanced_by", [str(task) for task in tasks]
        if asked not in names:
            hint = did_you_mean(str(asked), names)
            yield Problem(where, f"the data set has no task '{asked}'.{hint}")
        elif path == "target" and config.get("strategy") in ("adapt", "generalize"):
            fix = "use null, or source.balanced_by"
            yield Problem(where, f"no label of the target is learned from; {fix}")
        elif _class_weights(tasks[asked]) == "auto":
            fix = f"use null, or {path}.tasks.{asked}.loss.class_weights=null"
            yield Problem(where, f"class_weights=auto makes up for the shares too; {fix}")


def _class_weights(task: Any) -> Any:
    loss = task.get("loss") if isinstance(task, Mapping) else None
    return loss.get("class_weights") if isinstance(loss, Mapping) else None


def _modalities(config: Config) -> Iterator[Problem]:
    nodes = used_nodes(config)
    for key, node in nodes.items():
        offered = _names(node.get("modalities"))
        for name in _names(config.get("modalities")):
            if offered and name not in offered:
                message = f"{key} has no modality '{name}'.{did_you_mean(name, offered)}"
                yield Problem("modalities", message)
    offers = [set(_names(node.get("modalities"))) for node in nodes.values()]
    if len(offers) > 1 and all(offers) and not set.intersection(*offers):
        listed = " and ".join(", ".join(sorted(offer)) for offer in offers)
        where, which = ("target", "source and target") if "target" in nodes else (SEVERAL, "they")
        yield Problem(where, f"{which} share no modality: they have {listed}")


def _fusion(config: Config) -> Iterator[Problem]:
    names, fusion = chosen_modalities(config), config.get("fusion")
    if not names or not isinstance(fusion, Mapping):
        return
    listed = ", ".join(names)
    none = fusion.get("_target_") == _target_of("fusion", "none")
    if config.get("mode") == "multimodal" and len(names) < 2:
        fix = "choose a data set with several, or mode=multitask"
        yield Problem("mode", f"multimodal needs at least two modalities, here is {listed}; {fix}")
    elif len(names) == 1 and not none:
        yield Problem("fusion", f"there is one modality, {listed}: nothing to fuse; fusion=none")
    elif len(names) > 1 and none:
        fix = f"choose fusion=concat or another, or modalities=[{names[0]}]"
        yield Problem("fusion", f"none takes one modality, here are {listed}; {fix}")


def _balance(config: Config) -> Iterator[Problem]:
    names, balance = chosen_modalities(config), config.get("balance")
    if len(names) != 1 or not isinstance(balance, Mapping):
        return
    if balance.get("_target_") != _target_of("balance", "none"):
        fix = "balance=none, or choose a data set with several"
        yield Problem("balance", f"there is one modality, {names[0]}: nothing to balance; {fix}")


def _modality_dropout(config: Config) -> Iterator[Problem]:
    names, rates = chosen_modalities(config), config.get("modality_dropout")
    asked = [str(name) for name in rates] if isinstance(rates, Mapping) else []
    for name in asked:
        if names and name not in names:
            message = f"the run has no modality '{name}'.{did_you_mean(name, names)}"
            yield Problem("modality_dropout", message)
    values = list(rates.values()) if isinstance(rates, Mapping) else [rates]
    acts = any(isinstance(value, int | float) and value > 0 for value in values)
    if len(names) == 1 and acts and set(asked) <= set(names):
        message = f"there is one modality, {names[0]}, which no row can do without; use 0"
        yield Problem("modality_dropout", message)


def _backbones(config: Config) -> Iterator[Problem]:
    backbones = config.get("backbone")
    if not isinstance(backbones, Mapping):
        return
    for name in chosen_modalities(config):
        if not isinstance(backbones.get(backbone_key(backbones, name)), Mapping):
            fix = f"choose one with +backbone/{name}=…, or leave the modality out of modalities"
            yield Problem(f"backbone.{name}", f"no encoder for this modality; {fix}")


def _strengths(config: Config) -> Iterator[Problem]:
    if config.get("strategy") == "joint" and _is_zero(config.get("lambda_")):
        yield Problem("lambda_", "0 leaves strategy=joint without the target; use more than 0")
    rates = config.get("finetune")
    if isinstance(rates, Mapping) and _is_zero(rates.get("body_lr"), rates.get("head_lr")):
        yield Problem("finetune", "body_lr and head_lr are both 0: nothing would train")


_CHECKS = (
    _datasets,
    check_folds,
    _sources,
    _sampling,
    _tasks,
    _balanced_rows,
    _modalities,
    _fusion,
    _balance,
    _modality_dropout,
    _backbones,
    _strengths,
)


def _backbones_without_input(config: Config, overrides: Sequence[str]) -> Iterator[Problem]:
    names = chosen_modalities(config)
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        place = key.partition("@")[2] or key  # backbone/image@backbone.image_front
        group, _, rest = place.replace("/", ".").partition(".")
        modality = rest.partition(".")[0]
        used = {*names, *map(kind_of, names)}
        if group == "backbone" and names and modality not in used:
            message = f"the run has no {modality} input, only {', '.join(names)}"
            yield Problem(key, message)


def _heads_without_task(config: Config, overrides: Sequence[str]) -> Iterator[Problem]:
    if config.get("strategy") != "zero_shot":
        return
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if key.partition(".")[0] == "heads":
            message = "strategy=zero_shot has a head that knows the classes: see zero_shot.head"
            yield Problem(key, message)


def _target_of(group: str, option: str) -> str:
    import yaml

    path = package_folder() / group / f"{option}.yaml"
    return str(yaml.safe_load(path.read_text(encoding="utf-8"))["_target_"])


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _is_zero(*values: Any) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) and v == 0 for v in values)
