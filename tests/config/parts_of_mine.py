"""Classes as a user may write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from jlrun.data.dataset import Dataset
from jlrun.data.specs import ImageSpec
from jlrun.ranges import PositiveInt, Probability

if TYPE_CHECKING:
    from decimal import Decimal


class Encoder(nn.Module):
    """An encoder with parameters of many types."""

    def __init__(
        self,
        spec: ImageSpec,
        width: PositiveInt,
        *,
        dropout: Probability = 0.0,
        kind: Literal["wide", "deep"] = "wide",
        sizes: tuple[int, ...] = (),
        scale: float | Tensor = 1.0,
        names: Mapping[str, float] | None = None,
        folder: Path | None = None,
        inner: nn.Module | None = None,
        odd: Decimal | None = None,
        untyped: Any = None,
    ) -> None:
        super().__init__()
        self.spec, self.width, self.sizes, self.folder = spec, width, sizes, folder
        self.inner, self.out_features = inner, width
        if width == 13:
            raise ValueError("13 brings bad luck")


class Without(nn.Module):
    """Forgot the spec."""

    def __init__(self) -> None:
        super().__init__()


class Open(nn.Module):
    """Takes anything."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.kwargs = kwargs


def make_encoder(spec: ImageSpec, width: int = 1) -> Encoder:
    """A factory."""
    return Encoder(spec, width)


called: list[str] = []


def untold():  # type: ignore[no-untyped-def]
    """A function that does not say what it returns."""
    called.append("untold")


def liar() -> Dataset:
    """A function that returns something else than it says."""
    return ["images", "labels"]  # type: ignore[return-value]
