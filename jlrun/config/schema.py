"""The top level of a resolved config, typed: what `jlrun.execution` consumes."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len, Lt
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationInfo,
    field_validator,
)

from jlrun.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

Mode = Literal["transfer", "multitask", "multimodal"]
Seed = Annotated[int, Ge(0), Lt(2**32)]
# A bound that no experiment reaches: a larger number is a slip of the keyboard.
Epochs = Annotated[int, Ge(1), Le(1_000_000)]

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?|mps")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"names '{name}' twice")
    return names


Names = Annotated[tuple[str, ...], Len(1), AfterValidator(_distinct)]


def _device(name: str) -> str:
    if not _DEVICE.fullmatch(name):
        raise ValueError("is not a device: auto, cpu, cuda, cuda:N or mps")
    return name


def parse_size(size: Any) -> Any:
    """Return the number of bytes that ``4GB``, ``512MB`` or a number means (1 KB is 1024 bytes)."""
    if not isinstance(size, str):
        return size
    match = _SIZE.fullmatch(size.strip())
    if match is None:
        raise ValueError("is not a size: write 4GB, 512MB or a number of bytes")
    return int(float(match[1]) * 1024 ** _POWERS[match[2].upper()])


def _node(node: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(node.get("_target_"), str):
        raise ValueError("has no _target_, the path of what it builds")
    return node


Node = Annotated[dict[str, Any], AfterValidator(_node)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class EngineSettings(_Section):
    """What changes speed and memory but not the experiment."""

    device: Annotated[str, AfterValidator(_device)]
    precision: Literal["fp32", "bf16", "fp16"]
    channels_last: bool
    compile: bool
    accumulate: PositiveInt
    evaluation_batch: PositiveInt
    clip_norm: PositiveFloat | None
    deterministic: bool
    threads: PositiveInt | None
    memory_budget: Annotated[NonNegativeInt, BeforeValidator(parse_size)]
    workers: NonNegativeInt


class RecorderSettings(_Section):
    """What a run writes and shows."""

    tensorboard: bool
    figures: bool
    progress: Literal["auto", "live", "plain", "none"]
    log_every: PositiveInt
    checkpoint_seconds: NonNegativeFloat


class DiagnosisSettings(_Section):
    """What is measured of how tasks get along; no training is changed by it."""

    every: PositiveInt | None
    gradients: Literal["features", "parameters"]
    affinity: bool

    @field_validator("affinity")
    @classmethod
    def _is_measured(cls, affinity: bool, info: ValidationInfo) -> bool:
        if affinity and info.data.get("every", 1) is None:
            raise ValueError("needs an interval: set diagnosis.every, the steps between two looks")
        return affinity


class FinetuneSettings(_Section):
    """Factors on the learning rate while fine-tuning."""

    body_lr: NonNegativeFloat
    head_lr: NonNegativeFloat


class Settings(_Section):
    """A whole config. Parts that are built from a ``_target_`` stay plain nodes.

    Attributes:
        dataset: in multitask and multimodal; ``source`` and ``target`` in transfer.
        strategy: in transfer only, as ``finetune`` and ``pretrain_epochs``, which it brings.
        datasets: several ones by their names, in place of ``dataset``, in multitask only, as
            ``sampling``.
        tasks, modalities: None: all of the data set's.
        baselines_cache: folder in which runs find baselines that others trained; None: no such.
    """

    mode: Mode
    seed: Seed
    epochs: Epochs
    batch_size: PositiveInt
    tasks: Names | None
    modalities: Names | None
    baselines: bool
    baselines_cache: str | None = None
    lambda_: NonNegativeFloat
    patience: PositiveInt | None
    data_root: str
    optimizer: Node
    scheduler: Node
    heads: Node
    weighting: Node
    fusion: Node
    sharing: Node
    backbone: dict[str, Node]
    engine: EngineSettings
    recorder: RecorderSettings
    diagnosis: DiagnosisSettings
    terms: dict[str, Node] = {}
    dataset: Node | None = None
    source: Node | None = None
    target: Node | None = None
    datasets: dict[str, Node] = {}
    sampling: Node | None = None
    strategy: Literal["finetune", "joint"] | None = None
    finetune: FinetuneSettings | None = None
    pretrain_epochs: Epochs | None = None

    @classmethod
    def parse(cls, config: dict[str, Any]) -> Settings:
        """Return the settings of a resolved config.

        Raises:
            ValidationError: with every value that is of a wrong type or out of range.
        """
        # As JSON, because only there strictness lets a list stand for a tuple, as YAML needs.
        return cls.model_validate_json(json.dumps(config, default=str), strict=True)
