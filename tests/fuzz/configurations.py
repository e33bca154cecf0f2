"""Configurations that a slip of the hand or a hostile one could write, by a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from jlrun.config.compose import compose
from jlrun.config.options import package_folder
from tests.fuzz.cases import Case
from tests.fuzz.seeds import write_table_with_files


def _words(text: str) -> tuple[str, ...]:
    """Return the words of a text; where a word is to hold a space, it stands as ~_."""
    return tuple(word.replace("~_", " ") for word in text.split())


_BEGINNINGS = (
    ["mode=multitask", "dataset=digits"],
    ["mode=multitask", "dataset=multidigits"],
    ["mode=multitask", "dataset=shapes", "modalities=[image]"],
    ["mode=multitask", "dataset=table", "dataset.path=t.csv", "dataset.targets=[label]"],
    ["mode=multitask", "dataset=imagefolder", "dataset.root=photos", "tasks=[label]"],
    ["mode=multitask", "datasets=[digits,printed_digits]", "~dataset"],
    ["mode=transfer"],
    ["mode=transfer", "strategy=joint"],
    ["mode=transfer", "strategy=adapt"],
    ["mode=transfer", "strategy=zero_shot", "dataset@target=digits"],
    ["mode=transfer", "strategy=generalize", "sources=[digits,printed_digits]"],
    ["mode=multimodal"],
    ["mode=multimodal", "dataset=shapes"],
    ["experiment=smoke"],
    ["experiment=shapes_contrastive"],
    ["experiment=digits_adaptation"],
    [],
)
_VALUES = _words(
    "null true no abc '' [] {} [1,2] {a:1} {a:{b:[null]}} -1 0 1 2 3 0.5 -0.5 1e38 1e-300 1e400 "
    "nan inf -inf 99999999999999999999 -99999999999999999999 1_2 007 0x10 2020-01-01 ${seed} "
    "${epochs} ${nothing} ${nothing.more} ${.x} ${..x} ${oc.env:NOPE} ${oc.env:HOME} ${oc.eval:1} "
    "${hydra:runtime.cwd} ${now:%Y} ${run_id:} ${mode}-${seed} ü 日本 🙂 '$x$' '%s' '{}' ??? '???' "
    "[null] [1,a] [[[]]] [[1],[2]] [a,a] {1:2} {null:1} {true:1} {_target_:os.system} "
    "{_target_:1} {_target_:null} {_target_:''} {_target_:jlrun.tasks.Binary} {_target_:torch} "
    "{_target_:{_target_:torch.nn.Linear}} {a:${seed}} {a:${a}} '../x' . / 'a/b' 1,2 a,b null,1 "
    "range(1,3) range(0.1,0.9,0.4) choice(1,2) glob(*) sort(3,1) shuffle(1,2) int(1) float(1) "
    "str(1) bool(1) json_str(1) interval(0,1) tag(1) 'a~_b' 'a,b' 'a:b' \"'\" \\, \\\\ 1e3 1.0 "
    "4GB 0B -4GB cpu cuda:99 auto digits label equal image"
)
_NEAR_GROUPS = _words(
    "weighting sharing optimizer scheduler backbone/image fusion heads balance terms finetune "
    "validator sampling"
)
_QUOTED = "'%s'"
_LONG = ("x" * 5000, "[" * 60 + "]" * 60, "[" + ",".join(["1"] * 3000) + "]", "9" * 5000)
_ODD_KEYS = _words(
    "ü a.b a..b .a a. _x __class__ 1 0 a-b a/b a@b a:b _target_ _args_ _partial_ _recursive_ "
    "_convert_ null true 日本 a[0] a*b hydra defaults self keys"
)
_HYDRA = _words(
    "run.dir sweep.dir sweep.subdir job.name job.num job.id job.chdir job.config output_subdir "
    "verbose mode searchpath callbacks job_logging hydra_logging launcher launcher._target_ "
    "sweeper sweeper._target_ sweeper.params sweeper.max_batch_size sweeper.params.seed env help "
    "overrides.task overrides.hydra runtime.cwd runtime.choices job.env_set job.env_copy"
)
_FOREIGN = _words(
    "os.system torch.load torch.hub.load torch.os.system builtins.eval jlrun jlrun.tasks "
    "jlrun.nothing jlrun.tasks.Multiclas torch.nn.Linear torch.nn.Module torch.optim.SGD "
    "torch.optim.LBFGS torch.optim.Optimizer torch.optim.SparseAdam torch.Tensor torch.zeros "
    "torch.nn.Identity torch.nn.init.normal_ torchvision.models.resnet18 "
    "jlrun.objective.terms.base.Term jlrun.models.encoders.base.Encoder "
    "jlrun.objective.weightings.base.LossWeighting jlrun.models.joint_model.JointModel "
    "jlrun.config.trust.find jlrun.errors.UserError jlrun.cli.main.main a b.c .a a. ü.x torch.nn "
    "torch.float32 jlrun.tasks.Multiclass.__init__ jlrun.data.dataset.Dataset typing.Any"
)
_SHORT = [
    "epochs=1",
    "batch_size=8",
    "recorder.tensorboard=false",
    "recorder.figures=false",
    "engine.threads=1",
    "hydra.run.dir=run",
]


def configuration(seed: int, number: int) -> Case:
    """Return a case of a table of options.

    Those of even numbers are wild, mostly checked; those of odd numbers set values of the right
    type to what lies near or at an edge, and are mostly run, since many of them are valid.
    """
    rng = random.Random(f"configuration {seed} {number}")
    beginning = list(rng.choice(_BEGINNINGS))
    near, count = bool(number % 2), rng.choice((1, 1, 1, 2, 2, 3, 5))
    draw = _near_override if near else _override
    fuzzed = [draw(rng, beginning) for _ in range(count)]
    command = rng.choices(
        ([], ["check"], ["check", "-m"], ["-m"], ["--cfg", "job"], ["--info", "defaults"]),
        (70, 20, 2, 8, 0, 0) if near else (20, 66, 5, 4, 3, 2),
    )[0]
    short = [*_SHORT, f"{_first_data(beginning)}.limit=24"] if command in ([], ["-m"]) else []
    if command == ["-m"]:
        short[-2] = "hydra.sweep.dir=sweep"
    uses_files = any("t.csv" in word or "photos" in word for word in beginning)
    prepare = write_table_with_files if uses_files else _nothing
    return Case(f"configuration {number}", [*command, *beginning, *short, *fuzzed], prepare)


def _nothing(folder: Path) -> None:
    """Prepare no files."""


def _first_data(beginning: list[str]) -> str:
    if not beginning or any("transfer" in word or "adaptation" in word for word in beginning):
        return "++target"
    several = any(word.startswith("datasets=") for word in beginning)
    return "++datasets.digits" if several else "++dataset"


def _override(rng: random.Random, beginning: list[str]) -> str:
    kind = rng.choices(
        ("value", "delete", "append", "odd key", "group", "target", "hydra", "typo", "noise"),
        (40, 8, 9, 7, 12, 10, 7, 4, 3),
    )[0]
    path = rng.choice(_paths())
    value = _value(rng)
    match kind:
        case "value":
            return f"{path}={value}"
        case "delete":
            return rng.choice((f"~{path}", f"~{path}={value}"))
        case "append":
            return f"{rng.choice(('+', '++'))}{path}={value}"
        case "odd key":
            return f"{rng.choice(('', '+', '++'))}{path}.{rng.choice(_ODD_KEYS)}={value}"
        case "group":
            group = rng.choice(sorted(_groups()))
            other = rng.choice(sorted(_groups()))
            return f"{group}={_option(rng, rng.choice((group, group, other)))}"
        case "target":
            return f"{rng.choice(_nodes())}._target_={rng.choice((*_FOREIGN, *_targets() * 3))}"
        case "hydra":
            key = rng.choice(_HYDRA)
            safe = value if "/" not in value else "x"
            return f"{rng.choice(('', '+', '++', '~'))}hydra.{key}={safe}"
        case "typo":
            at = rng.randrange(len(path))
            return f"{path[:at]}{rng.choice('xü.@/~=')}{path[at + rng.randrange(2) :]}={value}"
    return rng.choice((value, f"={value}", f"{path}", f"{path}={value}={value}", f"{path}=", "-x"))


def _near_override(rng: random.Random, beginning: list[str]) -> str:
    """Return an override of a key that the config has, or of one of its groups."""
    if rng.random() < 0.25:
        group = rng.choice(_NEAR_GROUPS)
        return f"{group}={_option(rng, group)}"
    path, value = rng.choice(_leaves(tuple(beginning)))
    return f"{path}={_near_value(rng, value)}"


def _near_value(rng: random.Random, value: Any) -> str:
    match value:
        case bool():
            return str(not value).lower()
        case int():
            return str(rng.choice((0, 1, -1, 2, 3, value + 1, value - 1, value * 2, value // 2)))
        case float():
            edges = (0.0, 1.0, -1.0, 0.5, 1e-6, 1e-12, 10.0, 1e4, value / 2, value * 2, value * 10)
            return repr(rng.choice(edges))
        case None:
            return rng.choice(("0", "1", "2", "0.5", "0.9", "true", "null"))
    return rng.choice((_QUOTED % value, "null", "1", "abc"))


@cache
def _leaves(beginning: tuple[str, ...]) -> list[tuple[str, Any]]:
    """Return path -> value of all plain values of a config, but for where runs are written."""
    config = compose(list(beginning)).config
    found = [
        (path, node)
        for path, node in _plain(config)
        if not path.startswith(("engine.threads", "recorder")) and "_target_" not in path
    ]
    return sorted(found, key=str)


def _plain(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _plain(value, f"{prefix}{key}.")
        elif not isinstance(value, list):
            yield f"{prefix}{key}", value


def _value(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.04:
        return rng.choice(_LONG)
    if kind < 0.12:
        return f"[{rng.choice(_VALUES)},{rng.choice(_VALUES)}]"
    if kind < 0.2:
        return f"{{{rng.choice(('a', 'digit', 'label', 'image', 'x'))}:{rng.choice(_VALUES)}}}"
    if kind < 0.3:
        return repr(rng.choice((10.0, -1.0)) ** rng.randrange(-320, 300) * rng.random())
    return rng.choice(_VALUES)


@cache
def _groups() -> dict[str, list[str]]:
    """Return the groups of options that jlrun ships, each with its options."""
    found: dict[str, list[str]] = {}
    for file in sorted(package_folder().rglob("*.yaml")):
        parent = file.parent.relative_to(package_folder()).as_posix()
        if parent != "." and not file.name.startswith("_"):
            found.setdefault(parent, []).append(file.stem)
    for key in ("source", "target"):
        found[f"dataset@{key}"] = found["dataset"]
    return found


def _option(rng: random.Random, group: str) -> str:
    options = [rng.choice(_groups()[group]) for _ in range(2)]
    return f"[{','.join(options)}]" if group == "terms" else options[0]


@cache
def _yaml_of(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text(encoding="utf-8")) or {}


@cache
def _paths() -> list[str]:
    """Return config paths: of every key of every option, where its group stands."""
    found = dict.fromkeys(key for key in _yaml_of(package_folder() / "jlrun.yaml"))
    for group, options in _groups().items():
        for option in options:
            node = _yaml_of(package_folder() / group.partition("@")[0] / f"{option}.yaml")
            base = group.replace("/", ".").rpartition("@")[2]
            base = f"terms.{option}" if group == "terms" else base
            prefix = "" if group in ("mode", "experiment", "strategy") else f"{base}."
            for path in _flat({k: v for k, v in node.items() if k != "defaults"}):
                found[prefix + path] = None
    return [path for path in found if path not in ("defaults", "hydra")]


def _flat(node: dict[str, Any], prefix: str = "") -> list[str]:
    paths = []
    for key, value in node.items():
        paths.append(f"{prefix}{key}")
        if isinstance(value, dict):
            paths += _flat(value, f"{prefix}{key}.")
    return paths


@cache
def _nodes() -> list[str]:
    paths = (path.removesuffix("._target_") for path in _paths() if path.endswith("._target_"))
    return list(dict.fromkeys(paths))


@cache
def _targets() -> list[str]:
    text = "\n".join(file.read_text(encoding="utf-8") for file in package_folder().rglob("*.yaml"))
    words = text.replace("}", " ").replace(",", " ").split()
    return sorted({w for w in words if w.startswith(("jlrun.", "torch.")) and w.count(".") > 1})
