"""What several ranks exchange for each method, as a table made from the classes of the options.

    python -m benchmarks.synchronised

writes it into `docs/scale.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from jlrun.config.build import build
from jlrun.config.groups import gradient_keys
from jlrun.config.slots import WEIGHTING
from jlrun.files.atomic import write_text
from jlrun.models.sharing.base import FeatureSharing, Sharing
from jlrun.objective.balance.base import Balance
from jlrun.objective.weightings.base import (
    GradientWeighting,
    GramianWeighting,
    LossWeighting,
)
from jlrun.training.passes import num_samples

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- made by benchmarks/synchronised.py -->", "<!-- end -->"
OUTPUTS = "outputs of all rows"
VIEWS = f"{OUTPUTS}; its views of all rows go through the model on every rank"


def main() -> None:
    """Write the table into the page."""
    write_text(PAGE, with_table(PAGE.read_text(encoding="utf-8")))


def with_table(page: str) -> str:
    """Return the page with the table as the code has it now."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def table() -> str:
    """Return the table in Markdown; options that exchange the same are in one row."""
    together: dict[tuple[str, str], list[str]] = {}
    for group, option, exchanged in rows():
        together.setdefault((group, exchanged), []).append(f"`{option}`")
    lines = ["| group | options | exchanged in a step |", "|---|---|---|"]
    for (group, exchanged), options in together.items():
        lines.append(f"| `{group}` | {', '.join(options)} | {exchanged} |")
    return "\n".join(lines)


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield group, option, and what is exchanged for it."""
    for option, node in options("weighting"):
        yield "weighting", option, _of_weighting(node)
    for option, node in options("terms"):
        views = getattr(_class(node), "needs", None) == "views"
        yield "terms", option, VIEWS if views else OUTPUTS
    for option, node in options("balance"):
        yield "balance", option, _of_balance(_class(node))
    for option, node in options("sharing"):
        yield "sharing", option, _of_sharing(_class(node))


def options(group: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each option of a group, and its node."""
    for file in sorted((ROOT / "conf" / group).glob("[!_]*.yaml")):
        node = yaml.safe_load(file.read_text(encoding="utf-8"))
        while "_target_" not in node:  # terms have their name above
            node = next(value for value in node.values() if isinstance(value, dict))
        yield file.stem, node


def _class(node: Mapping[str, Any]) -> type:
    module, _, name = node["_target_"].rpartition(".")
    return getattr(import_module(module), name)


def _of_weighting(node: Mapping[str, Any]) -> str:
    known = {k: v for k, v in node.items() if k not in gradient_keys() | {"defaults"}}
    weighting = build(known, WEIGHTING, ("a", "b"))
    if isinstance(weighting, LossWeighting):
        return "T losses"
    assert isinstance(weighting, GradientWeighting)
    samples = num_samples(weighting)
    of_parameters = f"{f'{samples} T N' if samples > 1 else 'T N'} (`parameters`)"
    by_gramian = isinstance(weighting, GramianWeighting) and weighting.knows_gramian_alone
    of_features = f"{'T²' if by_gramian else 'T D B'} (`features`)"
    sizes = {"features": of_features, "parameters": of_parameters}
    return f"T losses; {' or '.join(sizes[source] for source in weighting.sources)}"


def _of_balance(kind: type) -> str:
    assert issubclass(kind, Balance)
    if not kind.acts:
        return "nothing"
    more = "; gradients of encoders" if kind.has_encoder_losses else ""
    return OUTPUTS + more


def _of_sharing(kind: type) -> str:
    assert issubclass(kind, Sharing)
    sources = "nothing" if issubclass(kind, FeatureSharing) else "task gradients of parameters only"
    return "its penalty" if kind.penalty is not Sharing.penalty else sources


if __name__ == "__main__":
    main()
