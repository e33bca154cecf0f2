"""Compose a config with Hydra, leaving none of Hydra's process-wide state behind."""

from __future__ import annotations

import pickle
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import version
from hydra.core.default_element import ResultDefault
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobRuntime, setup_globals
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from jlrun.config.auto_values import with_auto_values
from jlrun.config.hydra_internals import (
    CachingConfigRepository,
    ConfigLoaderImpl,
    ConfigRepository,
    ConfigSearchPathImpl,
    IConfigRepository,
)
from jlrun.config.hydra_node import check_folder, check_origin, check_search_path
from jlrun.config.name_escapes import has_escapes, unescape, unescape_keys
from jlrun.config.nodes import data_nodes, infers, is_image_folder
from jlrun.config.options import chose_batch_size, user_folders
from jlrun.config.parsing import expand_datasets, quoted_names
from jlrun.errors import Problem, UserError
from jlrun.files.bounded_text import check_expansion

CONFIG_NAME = "jlrun"
# Errors that Hydra and OmegaConf raise on purpose, and those that odd configs provoke.
_SAID = (HydraException, OmegaConfBaseException, YAMLError, ValueError)
_STUMBLED = (AssertionError, AttributeError, LookupError, RecursionError, TypeError)
COMPOSITION_ERRORS = (*_SAID, *_STUMBLED)

OmegaConf.register_new_resolver(
    "run_id", lambda: secrets.token_hex(3), replace=True, use_cache=True
)


@dataclass(frozen=True)
class Composed:
    """A composed config.

    Attributes:
        config: plain and fully resolved, without Hydra's own node.
        overrides: what the user asked for.
        run_dir: absolute path of the folder of this run.
        inferred: lines on what was inferred from the data, and why.
        own_batch_size: whether the batch size is the user's choice, which is not made smaller.
        of_folds: values of each fold that differ from the config; empty: all have the same.
        inputs: file -> the path in the run's folder that it is copied to before data is read.
    """

    config: dict[str, Any]
    overrides: list[str]
    run_dir: Path
    inferred: tuple[str, ...] = ()
    own_batch_size: bool = False
    of_folds: tuple[Mapping[str, Any], ...] = ()
    inputs: Mapping[Path, Path] = field(default_factory=dict)


def compose(overrides: Sequence[str], config_dir: str | None = None) -> Composed:
    """Compose a config without checking its values.

    The user's ``./conf`` and ``config_dir`` are searched after the options that jlrun ships.

    Raises:
        UserError: for the first thing that keeps the config from being composed; `checked`
            reports all of them, with the nearest right names.
    """
    with hydra_state():
        cfg = load(make_loader(config_dir), overrides)
        return as_composed(cfg, overrides)


# Options of installed packages, which a process reads once, and what files are merged to: a
# command composes its config twice, a sweep that of each job. Pickled, since what composes configs
# changes them, and OmegaConf's nodes are read much faster than they are copied or merged. What
# changes, or is written for one run of a program, is not met again: all are dropped at times.
_INSTALLED: dict[tuple[str, str], bytes] = {}
_COMPOSED: dict[tuple[tuple[Any, ...], ...], bytes] = {}
_MOST_COMPOSED = 256  # of some 25 KB each


class BoundedRepository(ConfigRepository):
    """Hydra's options, with bounds on the expansion of aliases in the files of users."""

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Load a file of options; those of jlrun are read once in a process."""
        source = self._find_object_source(config_path, ObjectType.CONFIG)
        # By its scheme: Hydra's search for plugins loads their modules a second time.
        if source is not None and source.scheme() == "file":
            check_expansion(Path(source.path, source._normalize_file_name(config_path)))
        if source is None or source.scheme() != "pkg":
            return super().load_config(config_path)
        key = (source.path, config_path)
        if key not in _INSTALLED:
            loaded = super().load_config(config_path)
            assert loaded is not None, "its source has it"
            _INSTALLED[key] = pickle.dumps(loaded)
        return pickle.loads(_INSTALLED[key])


class Loader(ConfigLoaderImpl):
    """Hydra's loader, except that a mapping that is empty in the YAML takes any key.

    ``weighting.weights={digit:2}`` then needs no ``+``; every other mapping is closed. It knows
    the short form of several data sets, and which keys take names, too. What files may not do to
    Hydra's own node, or with aliases, is refused.
    """

    def __init__(self, config_search_path: ConfigSearchPathImpl) -> None:
        super().__init__(config_search_path)
        self.repository = BoundedRepository(config_search_path)

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Compose a configuration, with names and data sets of overrides written out."""
        expanded = quoted_names(expand_datasets(overrides))
        try:
            cfg = super().load_configuration(
                config_name, expanded, run_mode, from_shell, validate_sweep_overrides
            )
        except KeyError as error:  # of hydra.job.env_copy
            raise UserError.of("hydra.job.env_copy", f"the environment has no {error}") from error
        if has_escapes(expanded):
            unescape_keys(cfg)
        # Here, since Hydra composes each job of a sweep anew, also in other processes.
        check_folder(cfg)
        check_origin(cfg, OverridesParser.create().parse_overrides(expanded))
        return cfg

    def _process_config_searchpath(
        self,
        config_name: str | None,
        parsed_overrides: list[Override],
        repo: CachingConfigRepository,
    ) -> None:
        check_search_path(parsed_overrides)
        super()._process_config_searchpath(config_name, parsed_overrides, repo)

    def _compose_config_from_defaults_list(
        self, defaults: list[ResultDefault], repo: IConfigRepository
    ) -> DictConfig:
        try:
            key = tuple(_part(default, repo) for default in defaults)
        except (pickle.PicklingError, AttributeError, TypeError):  # a function's class is an option
            key = None
        kept = None if key is None else _COMPOSED.get(key)
        if kept is not None:
            return pickle.loads(kept)
        cfg = super()._compose_config_from_defaults_list(defaults, repo)
        _open_empty(cfg)
        OmegaConf.clear_cache(cfg)  # the time, which Hydra's own folder of a run has
        if key is not None:
            if len(_COMPOSED) >= _MOST_COMPOSED:
                _COMPOSED.clear()
            _COMPOSED[key] = pickle.dumps(cfg)
        return cfg


def _part(default: ResultDefault, repo: IConfigRepository) -> tuple[Any, ...]:
    """Return what decides about a file's part in a config: its content, unless it is installed."""
    loaded = repo.load_config(str(default.config_path))
    installed = loaded is not None and loaded.provider in {"hydra", "main"}
    content = b"" if installed else pickle.dumps(loaded)
    return default.config_path, default.package, default.primary, content


def _open_empty(node: DictConfig) -> None:
    for key in node:
        child = node._get_node(key) if key != "hydra" else None
        if isinstance(child, DictConfig) and not (child._is_none() or child._is_missing()):
            if len(child):
                _open_empty(child)
            elif not child._is_interpolation():
                OmegaConf.set_struct(child, False)


def make_loader(config_dir: str | None = None, given_dir: str | None = None) -> Loader:
    """Return Hydra's loader over our config, the user's folders, and that of given objects."""
    if config_dir is not None and not Path(config_dir).expanduser().is_dir():
        raise UserError.of("--config-dir", f"there is no folder '{config_dir}'")
    Plugins.instance()
    search_path = ConfigSearchPathImpl()
    search_path.append("hydra", "pkg://hydra.conf")
    search_path.append("main", "pkg://jlrun.conf")
    for folder in user_folders(config_dir):
        search_path.append("user", f"file://{folder}")
    if given_dir is not None:
        search_path.append("given", f"file://{given_dir}")
    search_path.append("schema", "structured://")
    return Loader(search_path)


def load(loader: ConfigLoaderImpl, overrides: Sequence[str], *, sweep: bool = False) -> DictConfig:
    """Return the config with Hydra's node.

    Raises:
        UserError: with Hydra's message, in one line.
    """
    mode = RunMode.MULTIRUN if sweep else RunMode.RUN
    try:
        return loader.load_configuration(CONFIG_NAME, list(overrides), mode)
    except UserError:
        raise
    except COMPOSITION_ERRORS as error:
        raise UserError([composition_problem(error)]) from error


def as_composed(cfg: DictConfig, overrides: Sequence[str]) -> Composed:
    """Resolve a config that `load` returned."""
    try:
        with _hydra_config(cfg):
            config = plain(cfg)
            run_dir = Path(str(cfg.hydra.run.dir)).expanduser().absolute()
    except COMPOSITION_ERRORS as error:
        raise UserError([composition_problem(error)]) from error
    own = chose_batch_size(overrides, cfg.hydra)
    return Composed(config, list(overrides), run_dir, own_batch_size=own)


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """Return `plain` of a config.

    Raises:
        UserError: for the first value that can't be resolved.
    """
    try:
        with _hydra_config(cfg):
            return plain(cfg)
    except COMPOSITION_ERRORS as error:
        raise UserError([composition_problem(error)]) from error


def plain(cfg: DictConfig) -> dict[str, Any]:
    """Return the resolved config as plain dicts and lists, without Hydra's node."""
    nodes = {str(key): cfg._get_node(key) for key in cfg if key != "hydra"}
    found = {
        key: OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else cfg[key]
        for key, node in nodes.items()
        if not OmegaConf.is_missing(cfg, key)
    }
    # `jlrun.config.tables` chooses by the rows of tables and folders.
    counted = any(infers(node) or is_image_folder(node) for node in data_nodes(found).values())
    return found if counted else with_auto_values(found, None)[0]


def composition_problem(error: Exception) -> Problem:
    """Return what kept Hydra from composing a config, in one line."""
    if isinstance(error, UserError):
        return error.problems[0]
    if isinstance(error, RecursionError):
        return Problem("", "values are nested too deeply, or refer to each other in a circle")
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    full_key = re.search(r"^\s*full_key: (\S+)$", str(cause), re.M)
    where = unescape(str(getattr(cause, "full_key", None) or (full_key[1] if full_key else "")))
    if where == "hydra.sweeper.params":
        return Problem(where, "name the values of a sweep in the command: --multirun seed=1,2")
    if isinstance(cause, YAMLError):
        return Problem("", "not valid YAML: " + " ".join(str(cause).split()))
    lines = [line.strip() for line in unescape(str(cause)).splitlines() if line.strip()]
    message = lines[0] if lines else type(cause).__name__
    if isinstance(cause, _STUMBLED) and not isinstance(cause, OmegaConfBaseException):
        return Problem(where, f"this can't be composed to a config ({message})")
    if "Incompatible key type 'NoneType'" in message:
        return Problem(where, 'null is no key; in a YAML file quote it, as in {"null": …}')
    if "Cannot merge DictConfig with ListConfig" in message:
        return Problem(where, "there is a list where a group of keys is needed, as in {a: 1}")
    return Problem(where, message.rpartition("while resolving interpolation: ")[2].strip('"'))


@contextmanager
def hydra_state() -> Iterator[None]:
    """Set Hydra's process-wide state, and restore that of an outer Hydra program afterwards."""
    base, outer, name = version.getbase(), HydraConfig.instance().cfg, _job_name()
    version.setbase("1.3")
    setup_globals()
    JobRuntime.instance().set("name", CONFIG_NAME)
    try:
        yield
    finally:
        version.VersionBase.instance().version_base = base
        HydraConfig.instance().cfg = outer
        JobRuntime.instance().set("name", name)


def _job_name() -> str:
    return JobRuntime.instance().get("name")


@contextmanager
def _hydra_config(cfg: DictConfig) -> Iterator[None]:
    """Make ``${hydra:…}`` refer to ``cfg``."""
    instance = HydraConfig.instance()
    outer = instance.cfg
    instance.set_config(cfg)
    try:
        yield
    finally:
        instance.cfg = outer
