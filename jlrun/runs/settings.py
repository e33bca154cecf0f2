"""Settings of a run: its config, parsed once into one part for each reader.

The parts follow the objective Σ w_k L_k(y_k, h_k(fuse(enc(x)))) + λ Σ α_j R_j: data (x and the
tasks L), model (enc, fuse, h), recipe (w, R and how they are optimised); then the strategy, which
says what trains in which order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from jlrun.config.nodes import SEVERAL, SINGLE, SOURCES, backbone_of, learned_start, used_nodes
from jlrun.config.schema import Settings
from jlrun.config.sections import (
    CalibrationSettings,
    DiagnosisSettings,
    EngineSettings,
    MissingSettings,
    RecorderSettings,
    ZeroShotSettings,
)
from jlrun.config.value_types import Strategy
from jlrun.evaluation.retrieval import Retrieval
from jlrun.objective.ramps import RampName
from jlrun.strategies.plans import StrategySettings

Node = Mapping[str, Any]
Nodes = Mapping[str, Node]


@dataclass(frozen=True)
class DataSettings:
    """Settings of the data sets, and of the streams that they become.

    Attributes:
        nodes: stream -> node of its data set, of those in use; the stream is its config path.
        seed: of splits and of the order of rows.
        batch_size: rows of a training batch.
        evaluation_batch: rows of a batch that is scored.
        modalities, tasks: those asked for; None: all.
        strategy: of a transfer, which decides which labels of the target are learned from.
        zero_shot: which classes have no training rows; None: all classes are seen.
        views: node of what makes augmented views.
        inputs_alone: whether no task is learned, so that no label is needed.
        set_aside: stream -> splits that are replaced by other files; the rows that they had stay
            out of the training rows.
    """

    nodes: Nodes
    seed: int
    batch_size: int
    evaluation_batch: int
    modalities: tuple[str, ...] | None
    tasks: tuple[str, ...] | None
    strategy: Strategy | None
    zero_shot: ZeroShotSettings | None
    views: Node
    inputs_alone: bool = False
    set_aside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def leading(self) -> str:
        """The stream whose inputs the model takes as they are: the target's, or the first."""
        return "target" if "target" in self.nodes else next(iter(self.nodes))

    @property
    def hides_target_labels(self) -> bool:
        """Whether no label of the target is learned from."""
        return self.strategy in ("adapt", "generalize")


@dataclass(frozen=True)
class ModelSettings:
    """Settings of the model: the nodes of its parts.

    Attributes:
        seed: of its first weights.
        backbone: modality, or kind of modality -> encoder.
        fusion, sharing, head: of the trunk, between tasks, and of every task.
        terms: name -> term; those between modalities add shared spaces to the model.
        finetune: what may add adapters; None: nothing.
    """

    seed: int
    backbone: Nodes
    fusion: Node
    sharing: Node
    head: Node
    terms: Nodes
    finetune: Node | None

    def encoder(self, modality: str) -> Node:
        """Return the node of a modality's encoder."""
        return backbone_of(self.backbone, modality)

    def without_weights(self) -> ModelSettings:
        """Return the same model whose encoders read no pretrained weights."""
        return replace(self, backbone={m: without_weights(n) for m, n in self.backbone.items()})


@dataclass(frozen=True)
class RecipeSettings:
    """Settings of the objective and its optimisation.

    Attributes:
        weighting: node of w, with the keys that choose where gradients come from.
        terms: name -> node of R_j.
        term_scale: λ of the terms.
        ramp: how λ grows over a phase.
        balance: node of the balance of modalities; None: none.
        optimizer, scheduler: nodes.
        ema: decay of a running average of the weights; None: no average.
        patience: epochs without a better score before a phase stops; None: never.
        modality_dropout: probability of hiding each modality of a training row, or one for each;
            ``auto``: see `jlrun.runs.auto_dropout`.
    """

    weighting: Node
    terms: Nodes
    term_scale: float
    ramp: RampName
    balance: Node | None
    optimizer: Node
    scheduler: Node
    ema: float | None
    patience: int | None
    modality_dropout: float | Mapping[str, float] | Literal["auto"]


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run.

    Attributes:
        config: plain values of the whole config, as they are saved and compared.
        seed: of everything random.
        data, model, recipe, strategy: the parts of the objective, and the plan.
        start: ``run`` or ``weights`` -> path of what the main model begins with.
        engine: where and how to compute.
        recorder, diagnosis: what is recorded, and measured of gradients.
        retrieval, missing: what else is scored in the end.
        references: whether models of scikit-learn are baselines of tables, if there are any.
        calibration: what is fitted to validation rows then.
        baselines_cache: folder of baselines that runs share; None: no such.
        debug: ``profile``: the time of the main fit by its parts, and a trace.
    """

    config: Mapping[str, Any]
    seed: int
    data: DataSettings
    model: ModelSettings
    recipe: RecipeSettings
    strategy: StrategySettings
    start: Mapping[str, str]
    engine: EngineSettings
    recorder: RecorderSettings
    diagnosis: DiagnosisSettings
    retrieval: Retrieval
    missing: MissingSettings
    references: bool
    calibration: CalibrationSettings
    baselines_cache: str | None
    debug: Literal["profile"] | None

    @classmethod
    def parse(cls, config: dict[str, Any]) -> RunSettings:
        """Return the settings of a resolved config.

        Raises:
            ValidationError: with every value that is of a wrong type or out of range.
        """
        s = Settings.parse(config)
        return cls(
            config=s.model_dump(mode="json"),
            seed=s.seed,
            data=_data(s),
            model=_model(s),
            recipe=_recipe(s),
            strategy=_strategy(s),
            start=_start(s),
            engine=s.engine,
            recorder=s.recorder,
            diagnosis=s.diagnosis,
            retrieval=_retrieval(s),
            missing=s.missing,
            references=s.references,
            calibration=s.calibration,
            baselines_cache=s.baselines_cache,
            debug=s.debug,
        )


def without_weights(encoder: Node) -> dict[str, Any]:
    """Return the node of an encoder that reads no pretrained weights."""
    return {key: None if key == "weights" else value for key, value in encoder.items()}


def _data(s: Settings) -> DataSettings:
    keys = (*SINGLE, SEVERAL, SOURCES, "tasks", "strategy")
    return DataSettings(
        nodes=used_nodes({key: getattr(s, key) for key in keys}),
        seed=s.seed,
        batch_size=s.batch_size,
        evaluation_batch=s.engine.evaluation_batch,
        modalities=s.modalities,
        tasks=s.tasks,
        strategy=s.strategy,
        zero_shot=s.zero_shot,
        views=s.pretraining.views,
        inputs_alone=s.pretraining.only,
    )


def _model(s: Settings) -> ModelSettings:
    return ModelSettings(
        seed=s.seed,
        backbone=s.backbone,
        fusion=s.fusion,
        sharing=s.sharing,
        head=s.heads if s.zero_shot is None else s.zero_shot.head,
        terms=s.terms,
        finetune=s.finetune,
    )


def _recipe(s: Settings) -> RecipeSettings:
    return RecipeSettings(
        weighting=s.weighting,
        terms=s.terms,
        # In joint transfer λ is the weight of the target instead.
        term_scale=1.0 if s.strategy == "joint" else s.lambda_,
        ramp=s.lambda_ramp,
        balance=s.balance,
        optimizer=s.optimizer,
        scheduler=s.scheduler,
        ema=s.ema,
        patience=s.patience,
        modality_dropout=s.modality_dropout,
    )


def _strategy(s: Settings) -> StrategySettings:
    return StrategySettings(
        mode=s.mode,
        name=s.strategy,
        epochs=s.epochs,
        baselines=s.baselines,
        pretraining=s.pretraining,
        retrieval=_retrieval(s),
        tasks=s.tasks,
        sampling=s.sampling,
        target_scale=s.lambda_,
        source_weights=s.source_weights,
        finetune=s.finetune,
        pretrain_epochs=s.pretrain_epochs,
        validator=s.validator,
        adapt=s.adapt,
        zero_shot=s.zero_shot,
        learned_elsewhere=tuple(_learned_elsewhere(s)),
    )


def _retrieval(s: Settings) -> Retrieval:
    return Retrieval(s.retrieval.positives or (), s.retrieval.templates, s.retrieval.rows)


def _start(s: Settings) -> dict[str, str]:
    return learned_start({"source": s.source})


def _learned_elsewhere(s: Settings) -> Iterator[tuple[str, str]]:
    """Yield config path and value of all that may bring in what others have learned."""
    for key, path in _start(s).items():
        yield f"source.{key}", path
    for group, nodes, key in (("backbone", s.backbone, "weights"), ("terms", s.terms, "run")):
        for name, node in nodes.items():
            if isinstance(node.get(key), str):
                yield f"{group}.{name}.{key}", node[key]
