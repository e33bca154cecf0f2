"""The vectors of the classes in use, from wherever they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.errors import UserError, did_you_mean
from jlrun.models.class_vectors.built_in import seven_segment, words
from jlrun.models.class_vectors.files import FORMATS, Table, read_table, table_of
from jlrun.models.class_vectors.text import PREFIX, text_embeddings

Normalization = Literal["none", "l2", "centred"]
BUILT_IN = {"words": words, "seven_segment": seven_segment}


@dataclass(frozen=True)
class ClassVectors:
    """What is known of classes.

    Attributes:
        values: float32 ``(K, A)``, a row for each class.
        attributes: the A names of the columns.
    """

    values: Tensor
    attributes: tuple[str, ...]


def class_vectors(
    source: str | Mapping[str, Any], classes: Sequence[str], where: str
) -> ClassVectors:
    """Return the vectors of ``classes``, in their order.

    Args:
        source: ``words`` (which words of the names a name has), ``seven_segment`` (the lit segments
            of a digit), ``text:MODEL`` (what a text encoder makes of the names), a file (``.yaml``,
            ``.csv``, ``.npy``, ``.npz``), or the content of a YAML file: class -> numbers, or
            attribute -> number, or the attributes it has.
        classes: names; a table may have more, which are left out.
        where: config path of ``source``, for errors.

    Raises:
        UserError: if a class has no vector or two, an attribute has the same value in all classes
            of the table, or a value is not a finite number.
    """
    table = _table(source, classes, where)
    _check_varies(table, where)
    rows = {name: i for i, name in enumerate(table.classes)}
    missing = [name for name in classes if name not in rows]
    if missing:
        listed, hint = ", ".join(missing), did_you_mean(missing[0], rows)
        raise UserError.of(where, f"{_origin(source)} has no vector for {listed}.{hint}")
    chosen = table.values[[rows[name] for name in classes]]
    return ClassVectors(chosen.float(), table.attributes)


def normalized(values: Tensor, how: Normalization) -> Tensor:
    """Return class vectors ``(K, A)`` as they are, of unit length, or first with mean 0.

    ``centred`` takes the mean over the K classes away, so that what all of them have in common does
    not count. A vector of zeros stays one.
    """
    if how == "centred":
        values = values - values.mean(dim=0)
    return values if how == "none" else F.normalize(values)


def refuse_equal(values: Tensor, classes: Sequence[str], where: str) -> None:
    """Check that the rows of ``values`` ``(K, A)`` differ.

    Raises:
        UserError: naming two classes that no score could tell apart.
    """
    distances = torch.cdist(values.double(), values.double())
    equal = (distances < 1e-6 * values.abs().max().clamp(min=1e-12)).triu(diagonal=1).nonzero()
    if len(equal):
        one, other = (classes[int(i)] for i in equal[0])
        message = f"'{one}' and '{other}' have the same vector, so nothing can tell them apart"
        raise UserError.of(where, f"{message}; give them attributes that differ")


def _table(source: str | Mapping[str, Any], classes: Sequence[str], where: str) -> Table:
    if not isinstance(source, str):
        return table_of({str(k): v for k, v in source.items()}, where, "the table")
    if source in BUILT_IN:
        return BUILT_IN[source](classes, where)
    if source.startswith(PREFIX):
        return text_embeddings(source, classes, where)
    if Path(source).suffix.lower() not in FORMATS:
        known = ", ".join((*BUILT_IN, f"{PREFIX}MODEL"))
        hint = did_you_mean(source, BUILT_IN)
        message = f"'{source}' is neither {known} nor a file ({', '.join(FORMATS)}).{hint}"
        raise UserError.of(where, message)
    return read_table(Path(source).expanduser(), classes, where)


def _check_varies(table: Table, where: str) -> None:
    if len(table.classes) < 2:
        raise UserError.of(where, f"at least two classes are needed, found {len(table.classes)}")
    same = (table.values == table.values[0]).all(dim=0)
    names = [name for name, is_same in zip(table.attributes, same.tolist(), strict=True) if is_same]
    if names:
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        raise UserError.of(
            where, f"the same in all classes, and so of no use: {shown}; leave it out of the table"
        )


def _origin(source: str | Mapping[str, Any]) -> str:
    return f"'{source}'" if isinstance(source, str) else "the table"
