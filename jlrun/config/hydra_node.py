"""Checks of Hydra's own node, which Hydra builds and runs without asking jlrun.

A sweep builds ``hydra.launcher``, ``hydra.sweeper`` and ``hydra.callbacks``, hands
``hydra.job_logging`` and ``hydra.hydra_logging`` to `logging.config.dictConfig`, which imports and
calls what it names, and sets the environment of its jobs. An experiment file may come from anyone,
and so may set none of it to more than Hydra and its installed plugins define.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, ListConfig, OmegaConf

from jlrun.config.trust import VARIABLE, trusted_packages
from jlrun.errors import Problem, UserError, did_you_mean

# Of `jlrun.runs.sweeps.plugins`, under names that Hydra takes for plugins.
SWEEPER, LAUNCHER = "hydra_plugins.jlrun.Sweeper", "hydra_plugins.jlrun.Launcher"
_BUILT = ("launcher", "sweeper", "callbacks")
_INSTANTIATE = frozenset({"_target_", "_recursive_", "_convert_", "_partial_", "_args_"})
_LOGGING = ("job_logging", "hydra_logging")
_CALLBACKS = "hydra.experimental.callbacks."
# Settings of plugins that are commands, code, or places that send code.
_RUN = frozenset(
    {"setup", "python", "srun_args", "additional_parameters", "init", "ray"}
    | {"custom_search_space", "initializer", "initargs", "pre_dispatch", "redis", "runtime_env"}
    | {"address"}
)
_CLASSES = frozenset(
    {"logging.StreamHandler", "logging.FileHandler", "logging.NullHandler", "logging.Formatter"}
    | {"logging.handlers.RotatingFileHandler", "logging.handlers.TimedRotatingFileHandler"}
    | {"colorlog.ColoredFormatter", "colorlog.StreamHandler"}
)
_FACTORIES = frozenset({"colorlog.ColoredFormatter"})
_STREAMS = frozenset({"ext://sys.stdout", "ext://sys.stderr"})
_LOG_FILE = "${hydra.runtime.output_dir}/${hydra.job.name}.log"
# By Hydra's schema these are no groups of keys; the environment has none.
_ALWAYS_TEXT = re.compile(
    r"\$\{(hydra\.(runtime\.(output_dir|cwd)|job\.(name|num|id)|run\.dir|sweep\.(dir|subdir))"
    r"|oc\.env:[^${}]*)\}"
)
_LIKE_ADDRESS = re.compile(r"[a-z]*(:/{0,2})?\$\{|[a-z]+://")


def check_origin(cfg: DictConfig, overrides: Sequence[Override]) -> None:
    """Check that Hydra's node names only classes of Hydra and its installed plugins.

    Args:
        cfg: composed config with Hydra's node, before anything of it is built.
        overrides: the user's: what runs commands may stand there alone, and in no file.

    Raises:
        UserError: with all of it.
    """
    asked = [o.key_or_group for o in overrides if o.is_hydra_override()]
    problems = list[Problem]()
    for key in (*_BUILT, *_LOGGING):
        path = f"hydra.{key}"
        node = cfg.hydra._get_node(key)
        problems += _linked(path, node)
        raw = _raw(node)
        if key in _LOGGING:
            problems += _logging(path, raw, asked)
        elif raw is not None:
            problems += _built(path, raw, _targets(key))
            problems += _unknown(path, raw)
            problems += _commands(path, raw, _defaults(key), asked)
    problems += _environment(cfg, asked)
    if problems:
        raise UserError(list(dict.fromkeys(problems)))


def check_folder(cfg: DictConfig) -> None:
    """Check that a run is not to change the working directory, to which its paths are relative.

    Raises:
        UserError: if it is.
    """
    if OmegaConf.select(cfg, "hydra.job.chdir"):
        fix = "leave it out; hydra.run.dir=PATH sets the run directory"
        message = f"true: a run stays where it is started, as its paths are relative to that; {fix}"
        raise UserError.of("hydra.job.chdir", message)


def check_search_path(overrides: Sequence[Override]) -> None:
    """Check that folders of options lie in trusted packages only: searching one imports it.

    Raises:
        UserError: with the first of them.
    """
    for override in overrides:
        if override.get_key_element().lstrip("+~") != "hydra.searchpath":
            continue
        value = override.value()
        for place in value if isinstance(value, list) else []:
            scheme, sign, rest = str(place).partition("://")
            package = re.split(r"[./]", rest)[0]
            if not sign or scheme == "file" or (scheme == "pkg" and package in _packages()):
                continue
            fix = f"; add --trust {package}" if scheme == "pkg" and package.isidentifier() else ""
            message = f"'{place}' is neither a folder nor in a trusted package{fix}"
            raise UserError.of("hydra.searchpath", message)


def _packages() -> tuple[str, ...]:
    return (*trusted_packages(), "hydra", "hydra_plugins")


def _raw(node: Any) -> Any:
    if node is None or node._is_none() or node._is_missing() or node._is_interpolation():
        return None
    return OmegaConf.to_container(node, resolve=False)


def _linked(path: str, node: Any) -> Iterator[Problem]:
    """Yield the interpolations that are, or may become, whole groups of keys."""
    if node is None:
        return
    if node._is_interpolation():
        text = str(node._value())
        if _is_one_interpolation(text) and not _is_plain(node):
            message = f"'{text}' refers to what Hydra would build: write it out"
            yield Problem(path, message)
    elif isinstance(node, DictConfig) and not (node._is_none() or node._is_missing()):
        for key in node:
            yield from _linked(f"{path}.{key}", node._get_node(key))
    elif isinstance(node, ListConfig) and not (node._is_none() or node._is_missing()):
        for position in range(len(node)):
            yield from _linked(f"{path}.{position}", node._get_node(position))


def _is_one_interpolation(text: str) -> bool:
    return text.startswith("${") and text.endswith("}")


def _is_plain(node: Any) -> bool:
    """Return whether what an interpolation refers to is a single value, also when a job begins.

    A resolver may see something else by then, such as the number of the job.
    """
    text = str(node._value())
    if _ALWAYS_TEXT.fullmatch(text):
        return True
    if not re.fullmatch(r"\$\{\w+(\.\w+)*\}", text):
        return False
    found = node._get_root()
    for part in text[2:-1].split("."):
        if not isinstance(found, DictConfig) or found._is_interpolation() or found._is_none():
            return False
        found = found._get_node(part)
    return found is not None and not OmegaConf.is_config(found) and not found._is_interpolation()


def _built(path: str, raw: Any, allowed: frozenset[str]) -> Iterator[Problem]:
    for where, key, value in _entries(path, raw):
        if key in {"_target_", "_args_", "_partial_"}:
            if key == "_target_" and value in allowed:
                continue
            message = f"{_shown(value)} is not of Hydra or an installed plugin of it"
            yield Problem(where, message)


def _unknown(path: str, raw: Any) -> Iterator[Problem]:
    """Yield the keys that a plugin does not take."""
    target = str(raw.get("_target_")) if isinstance(raw, Mapping) else ""
    plugin = Plugins.instance().class_name_to_class.get(target)
    if plugin is None:
        return
    parameters = inspect.signature(plugin).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for key in raw.keys() - parameters.keys() - _INSTANTIATE:
        takes = did_you_mean(str(key), parameters) if parameters else " It takes none."
        name = target.rpartition(".")[2]
        yield Problem(f"{path}.{key}", f"{name} has no key '{key}'.{takes}")


def _targets(key: str) -> frozenset[str]:
    """Return what Hydra and its installed plugins let ``_target_`` be."""
    classes = Plugins.instance().class_name_to_class
    if key == "callbacks":
        from hydra.experimental import callbacks
        from hydra.experimental.callback import Callback

        own = {f"{_CALLBACKS}{k}" for k, v in vars(callbacks).items() if _derived(v, Callback)}
        return frozenset(own)
    stored = _stored_targets(ConfigStore.instance().repo)
    return frozenset(classes) | frozenset(stored) | {SWEEPER, LAUNCHER}


def _derived(value: Any, base: type) -> bool:
    return isinstance(value, type) and issubclass(value, base) and value is not base


def _stored_targets(stored: Any) -> Iterator[str]:
    """Yield the targets of the options that plugins register when they are imported."""
    if isinstance(stored, ConfigNode):
        raw = OmegaConf.to_container(stored.node, resolve=False)
        yield from (str(v) for _, key, v in _entries("", raw) if key == "_target_")
    elif isinstance(stored, Mapping):
        for inner in stored.values():
            yield from _stored_targets(inner)


def _defaults(key: str) -> list[Any]:
    """Return the options that plugins register for a group of Hydra's."""
    group = ConfigStore.instance().repo.get("hydra", {}).get(key, {})
    return [
        OmegaConf.to_container(stored.node, resolve=False)
        for stored in group.values()
        if isinstance(stored, ConfigNode)
    ]


def _commands(
    path: str, raw: Any, defaults: Sequence[Any], asked: Sequence[str]
) -> Iterator[Problem]:
    """Yield the settings that run something and come from a file."""
    if not isinstance(raw, Mapping):
        return
    usual = [d for d in defaults if d.get("_target_") == raw.get("_target_")]
    for key in _RUN & raw.keys():
        value, where = raw[key], f"{path}.{key}"
        if value in (None, "", [], {}) or any(d.get(key) == value for d in usual):
            continue
        if not any(f"{name}.".startswith(f"{where}.") for name in asked):
            message = (
                f"a file sets what a sweep would run, {_shown(value)}: say it yourself, {where}=…"
            )
            yield Problem(where, message)


def _logging(path: str, raw: Any, asked: Sequence[str]) -> Iterator[Problem]:
    for where, key, value in _entries(path, raw):
        if isinstance(value, str) and value not in _STREAMS and value != _LOG_FILE:
            named = any(f"{where}.".startswith(f"{name}.") for name in asked)
            if _LIKE_ADDRESS.match(value) or (key == "filename" and not named):
                yield Problem(where, f"{_shown(value)} is not where Hydra's own logging writes")
        if key == "class" and value not in _CLASSES:
            yield Problem(where, f"{_shown(value)} is none of Hydra's own logging classes")
        elif key == "." or (key == "()" and value not in _FACTORIES):
            yield Problem(where, f"{_shown(value)} is not of Hydra or an installed plugin of it")


def _environment(cfg: DictConfig, asked: Sequence[str]) -> Iterator[Problem]:
    for key in ("env_set", "env_copy"):
        where, raw = f"hydra.job.{key}", _raw(cfg.hydra.job._get_node(key))
        set_by_user = any(f"{name}.".startswith(f"{where}.") for name in asked)
        names = [str(name) for name in raw or ()]
        if names and not set_by_user and not (key == "env_set" and _copied(cfg, names)):
            message = f"a file sets the environment of jobs ({', '.join(names)}): say it yourself"
            yield Problem(where, message)
        if VARIABLE in names:
            yield Problem(where, f"{VARIABLE} says which code is trusted: add --trust PACKAGE")


def _copied(cfg: DictConfig, names: Sequence[str]) -> bool:
    return set(names) <= set(_raw(cfg.hydra.job._get_node("env_copy")) or ())


def _entries(path: str, raw: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield config path, key and value of everything in plain nested values."""
    items: list[tuple[str, Any]] = []
    if isinstance(raw, Mapping):
        items = [(str(key), value) for key, value in raw.items()]
    elif isinstance(raw, list):
        items = [(str(position), value) for position, value in enumerate(raw)]
    for key, value in items:
        yield f"{path}.{key}", key, value
        yield from _entries(f"{path}.{key}", value)


def _shown(value: Any) -> str:
    text = str(value)
    return f"'{text if len(text) <= 60 else f'{text[:57]}…'}'"
