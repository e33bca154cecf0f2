"""The config that describes the data set to transfer to. Imports no PyTorch itself."""

from __future__ import annotations

from collections.abc import Sequence

from jlrun.config import Composed, checked
from jlrun.config.compose import compose
from jlrun.errors import UserError


def compose_target(overrides: Sequence[str], config_dir: str | None = None) -> Composed:
    """Return the checked config that describes the data set to transfer to.

    ``dataset=NAME`` alone is enough: the rest of the config may be left out.

    Raises:
        UserError: with all that is wrong.
    """
    keys = {text.partition("=")[0].lstrip("+") for text in overrides}
    names = {key.partition(".")[0] for key in keys}
    if names & {"dataset", "datasets"} and not names & {"mode", "experiment"}:
        overrides = ["mode=multitask", *overrides]
    if "fusion" not in names and _num_modalities(overrides, config_dir) > 1:
        overrides = [*overrides, "fusion=concat"]
    return checked(overrides, config_dir)


def _num_modalities(overrides: Sequence[str], config_dir: str | None) -> int:
    try:
        config = compose(overrides, config_dir).config
    except UserError:
        return 0  # the check of the config reports what is wrong
    node = config.get("dataset") or {}
    return len(config.get("modalities") or node.get("modalities") or ())
