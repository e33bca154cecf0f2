"""Checks that runs may be averaged, and selected by the same validation rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jlrun.config.build import build
from jlrun.config.data_nodes import reserved_keys
from jlrun.config.slots import DATASET
from jlrun.data.dataset import Dataset
from jlrun.errors import UserError
from jlrun.runs.soups.members import Member

# What changes training alone: neither which rows there are nor how they are scored.
ONLY_TRAINING = frozenset({"augment", "label_smoothing"})
_ABSENT = "nothing"


def check_compatible(members: Sequence[Member]) -> None:
    """Check that runs share data, splits and architecture.

    The validation rows that the soup is selected by must not be training rows of any member. Where
    a data set has no official validation split, the run's seed draws it, so all runs need one
    seed; elsewhere seeds may differ.

    Raises:
        UserError: for the first difference.
    """
    first, *others = members
    for other in others:
        why = "runs must have been trained, selected and scored on the same rows in the same way"
        _check_equal(first, other, _data(first), _data(other), why)
        if other.settings.seed != first.settings.seed:
            _check_same_validation_rows(first, other)
        why = "weights can be averaged between models of one architecture"
        _check_equal(first, other, _architecture(first), _architecture(other), why)


def _data(member: Member) -> dict[str, Any]:
    """Return what decides which rows a run was trained, selected and scored on."""
    data, strategy = member.settings.data, member.settings.strategy
    chosen = None
    if data.zero_shot is not None:
        chosen = data.zero_shot.model_dump(include={"unseen", "unseen_seed", "attributes"})
    return {
        "mode": strategy.mode,
        "strategy": strategy.name,
        **data.nodes,
        "zero_shot": chosen,
        "validator": strategy.validator,
    }


def _architecture(member: Member) -> dict[str, Any]:
    """Return what decides which weights a model has, and what they mean."""
    model, modalities = member.settings.model, tuple(member.description["modalities"])
    return {
        "model.json": {key: member.description[key] for key in ("modalities", "heads", "scored")},
        "backbone": {m: model.encoder(m) for m in modalities},
        "fusion": model.fusion if len(modalities) > 1 else None,
        "sharing": model.sharing,
        "heads": model.head,
    }


def _check_equal(
    first: Member, other: Member, ours: Mapping[str, Any], theirs: Mapping[str, Any], why: str
) -> None:
    difference = _difference(ours, theirs)
    if difference is not None:
        raise _refusal(first, other, *difference, why)


def _difference(ours: Any, theirs: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """Return path and values of the first difference of plain values; None if there is none."""
    if not isinstance(ours, Mapping) or not isinstance(theirs, Mapping):
        return None if ours == theirs else (path, ours, theirs)
    for key in (*ours, *(key for key in theirs if key not in ours)):
        if key in ONLY_TRAINING:
            continue
        inner = f"{path}.{key}".lstrip(".")
        found = _difference(ours.get(key, _ABSENT), theirs.get(key, _ABSENT), inner)
        if found is not None:
            return found
    return None


def _check_same_validation_rows(first: Member, other: Member) -> None:
    for name, node in first.settings.data.nodes.items():
        own = {k: v for k, v in node.items() if k not in reserved_keys()}
        dataset: Dataset = build(own, DATASET)
        if dataset.val is None:
            why = (
                f"'{name}' has no official validation split: the seed draws it, so that rows which "
                "validate one run trained the other"
            )
            raise _refusal(first, other, "seed", first.settings.seed, other.settings.seed, why)


def _refusal(
    first: Member, other: Member, path: str, ours: Any, theirs: Any, why: str
) -> UserError:
    return UserError.of(
        str(other.directory),
        f"{path} is {_shown(theirs)}, but {_shown(ours)} in '{first.directory}'; {why}",
    )


def _shown(value: Any) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
