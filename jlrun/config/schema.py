"""The top level of a resolved config, typed: what `jlrun.runs.execution` consumes."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from pydantic import Field

from jlrun.config.sections import (
    AdaptSettings,
    CalibrationSettings,
    DiagnosisSettings,
    EngineSettings,
    MissingSettings,
    PretrainingSettings,
    RecorderSettings,
    RetrievalSettings,
    Section,
    ZeroShotSettings,
)
from jlrun.config.sweep_section import SweepSettings
from jlrun.config.value_types import Epochs, Mode, Names, Node, Seed, Shares, Source, Strategy
from jlrun.objective.ramps import RampName
from jlrun.ranges import Fraction, NonNegativeFloat, PositiveInt


class Settings(Section):
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
    terms: dict[str, Node] = Field(default_factory=dict)
    dataset: Node | None = None
    source: Source = None
    target: Node | None = None
    datasets: dict[str, Node] = Field(default_factory=dict)
    sources: dict[str, Node] = Field(default_factory=dict)
    source_weights: dict[str, NonNegativeFloat] = Field(default_factory=dict)
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
