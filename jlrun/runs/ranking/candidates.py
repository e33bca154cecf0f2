"""Candidates to transfer from: finished runs, pretrained backbones, and untrained networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from jlrun.config.build import build
from jlrun.config.slots import ENCODER
from jlrun.data.specs import Spec, spec_to_json
from jlrun.engine import Engine
from jlrun.errors import Problem, UserError, did_you_mean
from jlrun.models.fusions import Single
from jlrun.models.joint_model import JointModel
from jlrun.models.lora import is_lora_parameter
from jlrun.models.sharing import Hard
from jlrun.models.trunk import Trunk
from jlrun.runs.building import make_model
from jlrun.runs.ranking.sources import Backbone, Run, Sources, attributed_to
from jlrun.runs.ranking.target import Target
from jlrun.runs.saved_model import load_saved_model
from jlrun.runs.settings import RunSettings
from jlrun.seeding import seed_everything
from jlrun.tasks.objective import Objective

Kind = Literal["run", "backbone", "untrained"]


@dataclass(frozen=True)
class Candidate:
    """Candidate network, on the device.

    Attributes:
        name: as the user wrote it; of untrained networks, what they are.
        kind: where it comes from.
        model: its body makes the features.
        specs: modality -> what it takes.
        scored: the tasks that it was trained for and has heads of.
    """

    name: str
    kind: Kind
    model: JointModel
    specs: Mapping[str, Spec]
    scored: tuple[Objective, ...] = ()


def each_candidate(sources: Sources, target: Target, settings: RunSettings) -> Iterator[Candidate]:
    """Yield each candidate, and after the first of an architecture its network before any training.

    They are loaded one at a time.

    Args:
        sources: what is compared.
        target: whose modalities the candidates must be able to take.
        settings: whose engine they run on, and whose seed untrained networks have.

    Raises:
        UserError: if a candidate cannot be loaded, or takes what the target lacks.
    """
    _check_modalities(sources, target)
    architectures: set[tuple[object, ...]] = set()
    names: set[str] = set()
    for source in (*sources.runs, *sources.backbones):
        trained = _trained(source, target, settings)
        yield trained
        architecture = _architecture(trained)
        if architecture in architectures:
            continue
        name = _untrained_name(source, trained)
        if name in names:
            name = f"{name} of {trained.name}"
        architectures.add(architecture)
        names.add(name)
        yield Candidate(
            name, "untrained", _untrained(source, trained, target, settings), trained.specs
        )


def _trained(source: Run | Backbone, target: Target, settings: RunSettings) -> Candidate:
    if isinstance(source, Backbone):
        model = _ready(_backbone_model(source, target, settings.seed), target.engine)
        return Candidate(source.name, "backbone", model, {"image": target.specs["image"]})
    here = replace(source.settings, engine=settings.engine)
    saved = load_saved_model(source.directory, here)
    return Candidate(source.name, "run", saved.model, saved.specs, saved.scored)


def _untrained(
    source: Run | Backbone, trained: Candidate, target: Target, settings: RunSettings
) -> JointModel:
    if isinstance(source, Backbone):
        fresh = replace(source, weights=None)
        return _ready(_backbone_model(fresh, target, settings.seed), target.engine)
    heads = {objective.head: objective.spec for objective in trained.scored}
    without_weights = source.settings.model.without_weights()
    seed_everything(settings.seed, "rank", "untrained")
    return _ready(
        make_model(without_weights, trained.specs, tuple(trained.specs), heads), target.engine
    )


def _backbone_model(backbone: Backbone, target: Target, seed: int) -> JointModel:
    # What no weight file holds, such as the layer before it for images of other channels.
    seed_everything(seed, "rank", "untrained")
    with attributed_to(f"--backbones {backbone.name}"):
        encoder = build(backbone.node, ENCODER, target.specs["image"])
    trunk = Trunk({"image": encoder}, Single({"image": encoder.out_features}))
    return JointModel(Hard(lambda: trunk, ()), {})


def _ready(model: JointModel, engine: Engine) -> JointModel:
    prepared = engine.prepare(model)
    prepared.eval()
    return prepared


def _check_modalities(sources: Sources, target: Target) -> None:
    problems = [
        Problem(
            source.name,
            f"takes '{modality}', which '{target.where}' does not have."
            f"{did_you_mean(modality, target.specs)}",
        )
        for source in (*sources.runs, *sources.backbones)
        for modality in source.modalities
        if modality not in target.specs
    ]
    if problems:
        raise UserError(problems)


def _architecture(candidate: Candidate) -> tuple[object, ...]:
    """Return what networks of one architecture have in common: sizes, not values."""
    tensors = candidate.model.body.state_dict().items()
    shapes = ((name, t.shape) for name, t in tensors if not is_lora_parameter(name))
    sizes = (
        (modality, key, str(value))
        for modality, spec in candidate.specs.items()
        for key, value in spec_to_json(spec).items()
        if key not in ("mean", "std")
    )
    return (*shapes, *sizes)


def _untrained_name(source: Run | Backbone, trained: Candidate) -> str:
    if isinstance(source, Backbone):
        return f"untrained {source.model}"
    nodes = [source.settings.model.encoder(modality) for modality in trained.specs]
    return "untrained " + "+".join(map(_encoder_name, nodes))


def _encoder_name(node: Mapping[str, Any]) -> str:
    return str(node.get("name") or str(node["_target_"]).rpartition(".")[2].lower())
