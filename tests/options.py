"""Options of config groups as their YAML files make them; each is composed once in a process."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

from jlrun.config.compose import compose


def option_node(group: str, option: str) -> Any:
    """Return the node that a choice such as ``backbone/image=cnn`` gives, for the caller alone."""
    config: Any = deepcopy(_composed(f"{group}={option}"))
    for key in group.split("/"):
        config = config[key]
    return config


@cache
def _composed(choice: str) -> dict[str, Any]:
    return compose(["mode=multitask", choice]).config
