"""The top level of a resolved config, typed: what `jlrun.runs.execution` consumes."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len, Lt
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Tag,
    ValidationInfo,
    field_validator,
)

from jlrun.config.nodes import START
from jlrun.data.written_names import Name
from jlrun.objective.ramps import RampName
from jlrun.ranges import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

Mode = Literal["transfer", "multitask", "multimodal"]
Strategy = Literal["finetune", "joint", "adapt", "generalize", "zero_shot"]
Seed = Annotated[int, Ge(0), Lt(2**32)]
# Upper bound, to catch typos.
Epochs = Annotated[int, Ge(1), Le(1_000_000)]

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?|mps")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
DEFAULT_RATES = (0.0, 0.3, 0.5, 0.7, 0.9)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def _distinct(names: tuple[Any, ...]) -> tuple[Any, ...]:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"names '{name}' twice")
    return names


def _ascending(rates: tuple[float, ...]) -> tuple[float, ...]:
    if any(b <= a for a, b in pairwise(rates)):
        raise ValueError("are not rates in ascending order")
    return rates


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


def _source(node: dict[str, Any]) -> dict[str, Any] | None:
    if all(node.get(key) is None for key in ("_target_", *START)) and not set(node) - {*START}:
        return None  # deleted: replaced by `sources`, or by nothing
    for key in START:
        if not isinstance(node.get(key), str | None):
            raise ValueError(f"{key} is not a path")
    return node if node.get("run") or node.get("weights") else _node(node)


# A data set to be learned from, or weights that were learned elsewhere.
Source = Annotated[
    dict[str, Any] | None, AfterValidator(lambda n: None if n is None else _source(n))
]


def _form(value: Any) -> str:
    return "each" if isinstance(value, dict) else "auto" if value == "auto" else "one"


# One for all, or one for each name; distinguished first, so that a mistake has one message.
Shares = Annotated[
    Annotated[Fraction, Tag("one")]
    | Annotated[dict[str, Fraction], Tag("each")]
    | Annotated[Literal["auto"], Tag("auto")],
    Discriminator(_form),
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class EngineSettings(_Section):
    """Settings that change speed and memory but not the experiment."""

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
    parallel: Literal["ddp", "fsdp"] = "ddp"
    offload: bool = False
    checkpoint_activations: bool = False
    timeout: PositiveFloat = 600.0
    skip_nonfinite: NonNegativeInt = 0
    sync_batchnorm: bool = True

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


class RecorderSettings(_Section):
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


class DiagnosisSettings(_Section):
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


class MissingSettings(_Section):
    """Scores of a multimodal model with modalities missing."""

    evaluate: bool = True
    rates: Annotated[tuple[Fraction, ...], Len(1), AfterValidator(_ascending)] = DEFAULT_RATES
    seeds: Annotated[tuple[Seed, ...], Len(1), AfterValidator(_distinct)] = (0, 1, 2)


class CalibrationSettings(_Section):
    """What is fitted to validation rows once training is done."""

    temperature: bool = True
    thresholds: Literal["f1", "balanced_accuracy", "none"] = "f1"


class PretrainingSettings(_Section):
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


class RetrievalSettings(_Section):
    """Retrieval scores of shared spaces of modalities."""

    positives: Names | None = None
    templates: Annotated[tuple[Annotated[str, AfterValidator(_template)], ...], Len(1)] = ("{}",)
    rows: PositiveInt = 5000


class AdaptSettings(_Section):
    """Adaptation: BatchNorm of sources and target, and what is reported."""

    batch_norm: Literal["joint", "split"]
    oracle: bool
    leave_one_out: bool = False


class ZeroShotSettings(_Section):
    """Zero-shot learning: the unseen classes, their descriptions, and the method."""

    unseen: PositiveInt | Annotated[tuple[Name, ...], Len(1)]
    unseen_seed: int
    attributes: str | dict[str, Any]
    calibration: Annotated[int, Ge(0), Le(100)]
    method: Node
    head: Node


_OBJECTIVE = re.compile(r"val/[^/]+/[^/]+|val/mean_score|cost/(train_seconds|peak_memory_bytes)")


def _objective(name: str) -> str:
    if not _OBJECTIVE.fullmatch(name):
        raise ValueError(
            "is nothing to search by: val/mean_score, val/TASK/METRIC, cost/train_seconds or "
            "cost/peak_memory_bytes"
        )
    return name


Objectives = Annotated[
    tuple[Annotated[str, AfterValidator(_objective)], ...], Len(1), AfterValidator(_distinct)
]


_TASKS = ("ntasks", "ntasks-per-node")
_SBATCH_OPTION = re.compile(r"[a-z][a-z0-9_-]*")


def _sbatch(options: dict[str, Any]) -> dict[str, Any]:
    """Check options of ``sbatch``, which become lines of a script."""
    for name, value in options.items():
        if not _SBATCH_OPTION.fullmatch(name):
            raise ValueError(f"'{name}' is no option of sbatch")
        if not isinstance(value, str | int | float) or not str(value).isprintable():
            raise ValueError(f"{name} is neither one line of text nor a number")
        if name.replace("_", "-") in _TASKS and str(value) != "1":
            raise ValueError(f"{name}={value}: a job of a sweep is one task; use srun for a run")
    return options


SlurmOptions = Annotated[dict[str, Any], AfterValidator(_sbatch)]


class SweepSettings(_Section):
    """Settings of ``--multirun``, which no job of it depends on.

    Attributes:
        kind: what chooses the jobs; the keys from ``trials`` on are those of some kinds.
        jobs: how many run at once.
        new: begin anew instead of going on with an unfinished sweep.
        at_once: most runs of a vectorized sweep that are in memory together.
        trials: number of jobs of a search.
        objectives: what a search goes by; None: the objective of the runs.
        storage, study: database and name of a study; None: a file in the sweep's folder, and a
            name made of the command.
        startup_trials, warmup_epochs: no trial is pruned before these.
        lease_seconds: after which a silent trial is given up.
        engine: what runs jobs; the keys that follow are those of some engines.
        cluster: ``local`` for submitit's processes on this machine.
        cpus, gpus, memory_gb: of each job.
        minutes, requeues: time limit of each job, and how often it goes on after it.
        slurm: further options of ``sbatch``.
        address: of a running Ray cluster; None: Ray on this machine.
    """

    kind: Literal["grid", "vectorized", "random", "optuna"]
    jobs: Annotated[int, Ge(1), Le(1024)]
    new: bool
    at_once: Annotated[int, Ge(1), Le(1024)] = 32
    trials: Annotated[int, Ge(1), Le(1_000_000)] = 20
    seed: Seed = 0
    sampler: Literal["auto", "tpe", "nsgaii", "random"] = "auto"
    objectives: Objectives | None = None
    storage: str | None = None
    study: str | None = None
    pruner: Literal["median", "none"] = "median"
    startup_trials: NonNegativeInt = 5
    warmup_epochs: NonNegativeInt = 2
    lease_seconds: Annotated[float, Ge(1)] = 60.0
    engine: Literal["local", "slurm", "ray"] = "local"
    cluster: Literal["slurm", "local"] = "slurm"
    cpus: PositiveInt = 1
    gpus: NonNegativeFloat = 0.0
    memory_gb: PositiveFloat | None = None
    minutes: PositiveFloat = 240.0
    requeues: NonNegativeInt = 20
    slurm: SlurmOptions = {}
    address: str | None = None

    @field_validator("gpus")
    @classmethod
    def _is_divisible(cls, gpus: float, info: ValidationInfo) -> float:
        shared = info.data.get("engine") == "ray" and gpus < 1  # Ray alone can share one
        if not (gpus.is_integer() or shared):
            raise ValueError(
                "is no whole number of GPUs; only with sweep/engine=ray may jobs share one"
            )
        return gpus


class Settings(_Section):
    """A whole config. Parts that are built from a ``_target_`` stay plain nodes.

    Attributes:
        dataset: in multitask and multimodal; ``source`` and ``target`` in transfer.
        strategy: in transfer only, as ``finetune`` and ``pretrain_epochs``, which it brings.
        finetune, validator, adapt, zero_shot: in the strategies that bring them.
        sources: several ones by their names, in place of ``source``, in transfer only; with
            ``source_weights``, name -> factor of its losses.
        balance: of the modalities; None: none, as in runs from before there was one.
        ema: decay of a running average of the weights; None: no average.
        lambda_ramp: how λ grows over a phase.
        datasets: several ones by their names, in place of ``dataset``, in multitask only, as
            ``sampling``.
        tasks, modalities: None: all of the data set's.
        modality_dropout: probability of hiding each modality of a training row, or one for each;
            ``auto``: as often as validation rows lack it, and one in ten at least.
        references: whether models of scikit-learn are baselines of tables, if there are any.
        baselines_cache: folder in which runs find baselines that others trained; None: no such.
        sweep: of ``--multirun``; no run has it.
        debug: ``profile``: the time of the main fit by its parts, and a trace.
    """

    mode: Mode
    seed: Seed
    epochs: Epochs
    batch_size: PositiveInt
    tasks: Names | None
    modalities: Names | None
    baselines: bool
    references: bool = True
    baselines_cache: str | None = None
    lambda_: NonNegativeFloat
    lambda_ramp: RampName
    ema: Fraction | None
    pretraining: PretrainingSettings
    retrieval: RetrievalSettings = RetrievalSettings()
    patience: PositiveInt | None
    debug: Literal["profile"] | None = None
    data_root: str
    optimizer: Node
    scheduler: Node
    heads: Node
    weighting: Node
    fusion: Node
    balance: Node | None = None
    sharing: Node
    backbone: dict[str, Node]
    engine: EngineSettings
    recorder: RecorderSettings
    diagnosis: DiagnosisSettings
    missing: MissingSettings = MissingSettings()
    calibration: CalibrationSettings = CalibrationSettings()
    modality_dropout: Shares = 0.0
    terms: dict[str, Node] = {}
    dataset: Node | None = None
    source: Source = None
    target: Node | None = None
    datasets: dict[str, Node] = {}
    sources: dict[str, Node] = {}
    source_weights: dict[str, NonNegativeFloat] = {}
    sampling: Node | None = None
    strategy: Strategy | None = None
    finetune: Node | None = None
    pretrain_epochs: Annotated[int, Ge(0), Le(1_000_000)] | None = None
    validator: Node | None = None
    adapt: AdaptSettings | None = None
    zero_shot: ZeroShotSettings | None = None
    sweep: SweepSettings | None = None

    @classmethod
    def parse(cls, config: dict[str, Any]) -> Settings:
        """Return the settings of a resolved config.

        Raises:
            ValidationError: with every value that is of a wrong type or out of range.
        """
        # As JSON, because only there strictness lets a list stand for a tuple, as YAML needs.
        return cls.model_validate_json(json.dumps(config, default=str), strict=True)
