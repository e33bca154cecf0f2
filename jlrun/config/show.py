"""``jlrun --cfg`` and ``jlrun --info``: the composed configuration, as text."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from jlrun.config.compose import CONFIG_NAME, Loader, hydra_state, load, make_loader
from jlrun.config.hydra_internals import Hydra
from jlrun.config.names import find_names
from jlrun.config.parsing import expand_datasets, quoted_names
from jlrun.errors import UserError


def config(
    kind: str,
    overrides: Sequence[str],
    config_dir: str | None,
    *,
    package: str | None,
    resolve: bool,
) -> int:
    """Print the configuration as YAML, whatever its values, and return 0.

    Args:
        kind: ``job``, ``hydra`` or ``all``.
        overrides: as of a run.
        config_dir: a further folder of options.
        package: print only this part.
        resolve: replace interpolations by their values.

    Raises:
        UserError: for names that do not exist.
    """
    with hydra_state():
        loader = make_loader(config_dir)
        cfg = _loaded(loader, overrides)
        HydraConfig.instance().set_config(cfg)
        OmegaConf.set_readonly(cfg.hydra, None)
        shown = Hydra("jlrun", loader).get_sanitized_cfg(cfg, kind)
        part = shown
        if package not in {None, "_global_"}:
            part = OmegaConf.select(shown, str(package))
            if part is None:
                raise UserError.of("--package", f"there is no '{package}' in this configuration")
            print(f"# @package {package}")
        if not OmegaConf.is_config(part):
            print(part)
        else:
            sys.stdout.write(OmegaConf.to_yaml(part, resolve=resolve))
    return 0


def info(kind: str, overrides: Sequence[str], config_dir: str | None) -> int:
    """Print Hydra's account of how the configuration is composed, and return 0."""
    with hydra_state():
        loader = make_loader(config_dir)
        _loaded(loader, overrides)
        readable = quoted_names(expand_datasets(overrides))
        root = logging.getLogger()
        level, handlers = root.level, list(root.handlers)
        try:
            Hydra("jlrun", loader).show_info(
                kind, config_name=CONFIG_NAME, overrides=readable, run_mode=RunMode.RUN
            )
        finally:
            root.setLevel(level)
            root.handlers[:] = handlers
    return 0


def _loaded(loader: Loader, overrides: Sequence[str]) -> DictConfig:
    try:
        return load(loader, overrides)
    except UserError:
        problems = find_names(loader, overrides).problems
        if problems:
            raise UserError(problems) from None
        raise
