"""Sections of a config, typed: engine, recorder, and what some runs have."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationInfo,
    field_validator,
)

from jlrun.config.value_types import Device, Names, Node, Seed, ascending, distinct, parse_size
from jlrun.data.written_names import Name
from jlrun.ranges import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt


class Section(BaseModel):
    """A section of a config: nothing is converted, and no other key may stand in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class EngineSettings(Section):
    """Settings that change speed and memory but not the experiment."""

    device: Device
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
    parallel: Literal["ddp", "fsdp"] = "ddp"
    offload: bool = False
    checkpoint_activations: bool = False
    timeout: PositiveFloat = 600.0
    skip_nonfinite: NonNegativeInt = 0
    sync_batchnorm: bool = True
    reuse_memory: Literal["none", "small", "all"] = "small"

    @field_validator("parallel")
    @classmethod
    def _can_shard(cls, parallel: str, info: ValidationInfo) -> str:
        if parallel == "fsdp" and info.data.get("precision") == "fp16":
            raise ValueError("has no loss scale, which fp16 needs: use engine.precision=bf16")
        if parallel == "fsdp" and info.data.get("compile"):
            raise ValueError("does not go with compiled encoders: use engine.compile=false")
        return parallel

    @field_validator("offload")
    @classmethod
    def _is_sharded(cls, offload: bool, info: ValidationInfo) -> bool:
        if offload and info.data.get("parallel") == "ddp":
            raise ValueError("keeps shards on the CPU: set engine.parallel=fsdp, or leave it out")
        return offload

    @field_validator("checkpoint_activations")
    @classmethod
    def _is_not_compiled(cls, wanted: bool, info: ValidationInfo) -> bool:
        if wanted and info.data.get("compile"):
            raise ValueError("does not go with compiled encoders: use engine.compile=false")
        return wanted


class RecorderSettings(Section):
    """Outputs of a run: files and display."""

    tensorboard: bool
    figures: bool
    figure_format: Literal["png", "svg", "pdf"] = "png"
    progress: Literal["auto", "live", "plain", "messages", "none"]
    log_every: PositiveInt
    checkpoint_seconds: NonNegativeFloat
    rows: bool = True
    pr_curves: bool = False
    embeddings: bool = False
    wandb: bool = False
    mlflow: bool = False

    @field_validator("pr_curves", "embeddings")
    @classmethod
    def _is_shown(cls, wanted: bool, info: ValidationInfo) -> bool:
        if wanted and not info.data.get("tensorboard", True):
            raise ValueError("is for TensorBoard alone: set recorder.tensorboard=true")
        return wanted


class DiagnosisSettings(Section):
    """Measurements of gradient conflict and affinity between tasks; training stays the same."""

    every: PositiveInt | None
    gradients: Literal["features", "parameters"]
    affinity: bool

    @field_validator("affinity")
    @classmethod
    def _is_measured(cls, affinity: bool, info: ValidationInfo) -> bool:
        if affinity and info.data.get("every", 1) is None:
            raise ValueError(
                "needs an interval: set diagnosis.every, the steps between two measurements"
            )
        return affinity


DEFAULT_RATES = (0.0, 0.3, 0.5, 0.7, 0.9)


class MissingSettings(Section):
    """Scores of a multimodal model with modalities missing."""

    evaluate: bool = True
    rates: Annotated[tuple[Fraction, ...], Len(1), AfterValidator(ascending)] = DEFAULT_RATES
    seeds: Annotated[tuple[Seed, ...], Len(1), AfterValidator(distinct)] = (0, 1, 2)


class CalibrationSettings(Section):
    """What is fitted to validation rows once training is done."""

    temperature: bool = True
    thresholds: Literal["f1", "balanced_accuracy", "none"] = "f1"


class PretrainingSettings(Section):
    """The phase of self-supervised terms and terms between modalities, if there are any."""

    epochs: Annotated[int, Ge(0), Le(1_000_000)]
    data: Names | None
    views: Node
    only: bool = False

    @field_validator("only")
    @classmethod
    def _trains(cls, only: bool, info: ValidationInfo) -> bool:
        if only and info.data.get("epochs") == 0:
            raise ValueError("leaves nothing to train with pretraining.epochs=0; use 1 or more")
        return only


def _template(template: str) -> str:
    if template.count("{}") != 1:
        raise ValueError("has no place for the name of a class: write {} once, as in 'a {}'")
    return template


class RetrievalSettings(Section):
    """Retrieval scores of shared spaces of modalities."""

    positives: Names | None = None
    templates: Annotated[tuple[Annotated[str, AfterValidator(_template)], ...], Len(1)] = ("{}",)
    rows: PositiveInt = 5000


class AdaptSettings(Section):
    """Adaptation: BatchNorm of sources and target, and what is reported."""

    batch_norm: Literal["joint", "split"]
    oracle: bool
    leave_one_out: bool = False


class ZeroShotSettings(Section):
    """Zero-shot learning: the unseen classes, their descriptions, and the method."""

    unseen: PositiveInt | Annotated[tuple[Name, ...], Len(1)]
    unseen_seed: int
    attributes: str | dict[str, Any]
    calibration: Annotated[int, Ge(0), Le(100)]
    method: Node
    head: Node
