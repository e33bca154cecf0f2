"""Configs: composed by Hydra, checked before any work, built part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jlrun.config.check import check_names, check_values, checked
    from jlrun.config.compose import Composed

__all__ = ["Composed", "check_names", "check_values", "checked"]


def __getattr__(name: str) -> Any:
    # Hydra takes 0.2 s to import, which `jlrun --help` and `jlrun ls` need not wait for.
    if name == "Composed":
        from jlrun.config.compose import Composed

        return Composed
    if name in __all__:
        from jlrun.config import check

        return getattr(check, name)
    raise AttributeError(f"module 'jlrun.config' has no attribute '{name}'")
