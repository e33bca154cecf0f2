"""Every term of ``conf/terms``: a run that was interrupted equals one that was not, bit for bit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from jlrun.config.build import build, class_of
from jlrun.config.slots import TERM
from jlrun.data.augmentation.views import Views
from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.data.streams import Stream
from jlrun.errors import Interrupted
from jlrun.evaluation.validators import InformationMaximization
from jlrun.models import checkpoints
from jlrun.models.encoders import MLP
from jlrun.models.encoders.base import Encoder
from jlrun.models.fusions import Concat, Single
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms import Term
from jlrun.objective.terms.cross_modal import add_spaces
from jlrun.objective.terms.transfer.teacher import Teacher
from jlrun.objective.weightings import Equal
from jlrun.runs.building import term_makers
from jlrun.runs.saved_model import SavedTeachers
from jlrun.strategies import multimodal, multitask, transfer
from jlrun.strategies.finetuning import Full
from jlrun.strategies.plan_parts import PlanContext
from jlrun.strategies.pretraining import between_modalities, with_pretraining
from jlrun.tasks import Multiclass, TaskSpec
from jlrun.training import fit as fitting
from jlrun.training.averaging import WeightAverage
from jlrun.training.fit import FitRun
from jlrun.training.fit_folder import FitFolder
from jlrun.training.learner import Learner, build_learner
from jlrun.training.plan import Fit, Plan, Recipe
from jlrun.training.recorder import Position, Recorder
from jlrun.training.schedules import Cosine
from tests.toy import CPU, TIMED, StopAt, ToyEncoder, hard_model, never, toy_surroundings
from tests.toy import SPEC as WAVE

CONF = Path(__file__).parents[2] / "conf" / "terms"
SPEC = ImageSpec(1, 8, 8, (0.5,), (0.5,))
DIGIT = TaskSpec("digit", Multiclass(), ("0", "1", "2"))
LETTER = TaskSpec("letter", Multiclass(), ("x", "y", "z"))
BATCH, ROWS = 8, 24  # three steps in an epoch
# What makes the term's state matter, such as a threshold that is passed.
CHANGES: dict[str, dict[str, Any]] = {
    "fixmatch": {"threshold": 0.0, "teacher": True},
    "distill": {"run": "outputs/teacher", "logits": 1.0},
}
# Networks of their own are narrower than in the YAML, as the steps are many.
NARROW = {"hidden": 12, "out_features": 8, "random_features": 8, "memory": 10}


def node(option: str) -> dict[str, Any]:
    """Return the config of a term, as in its YAML but for its size."""
    made: dict[str, Any] = yaml.safe_load((CONF / f"{option}.yaml").read_text())[option]
    made |= {key: value for key, value in NARROW.items() if isinstance(made.get(key), int)}
    return made | CHANGES.get(option, {})


OPTIONS = sorted(p.stem for p in CONF.glob("*.yaml") if p.stem[0] != "_")
NEEDS = {option: class_of(node(option), Term).needs for option in OPTIONS}
ALONE = [option for option in OPTIONS if NEEDS[option] in ("views", "several modalities")]


class SmallCnn(Encoder):
    """A convolution with BatchNorm and dropout, so that modes and randomness matter."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.2),
        )
        self.out_features = 36

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def rows(seed: int) -> TensorRows:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (ROWS, 1, 8, 8), generator=generator, dtype=torch.uint8)
    bright = images.float().mean(dim=(1, 2, 3)).argsort().argsort()
    targets = {
        "digit": bright * 3 // ROWS,
        "letter": bright.flip(0) * 3 // ROWS,
    }
    waves = images.float().mean(dim=(1, 2))[:, ::2] / 255
    return TensorRows({"image": images, "audio": waves}, targets)


def feed(
    name: str,
    tasks: tuple[TaskSpec, ...] = (DIGIT,),
    views: bool = False,
    modalities: int = 1,
) -> LabelledStreams:
    def stream(seed: int, labelled: bool = True) -> Stream:
        return Stream(
            name,
            rows(seed + 10 * len(name)),
            specs={"image": SPEC} if modalities == 1 else {"image": SPEC, "audio": WAVE},
            batch_size=BATCH,
            seed=0,
            device=CPU,
            memory_budget=10**6,
            views=Views(flip=0.0) if views else None,
            labelled=labelled,
        )

    return LabelledStreams(name, stream(0), stream(1), stream(2), stream(0, labelled=False), tasks)


def sgd(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=0.01, momentum=0.9)


def plan_for(option: str, beside: bool = True) -> Plan:
    """Return a plan in which the term acts in the last phase.

    Or, not ``beside`` a task, in a phase before.
    """
    term, needs = node(option), NEEDS[option]
    terms = term_makers({option: term}, SavedTeachers())
    recipe = Recipe(sgd, Equal, terms, Cosine(), 1.0, None, make_average=lambda: WeightAverage(0.9))
    parts = PlanContext(recipe, ("image",), epochs=2, baselines=False, needs=frozenset({needs}))
    adaptation = transfer.Adaptation(InformationMaximization(), 0, joined=True, oracle=True)
    match needs:
        case "target":
            domains = transfer.Domains((feed("source"),), feed("target"))
            return transfer.plan_adapt(domains, adaptation, parts)
        case "several sources":
            sources = (feed("sources.a"), feed("sources.b"))
            domains = transfer.Domains(sources, feed("target"))
            return transfer.plan_generalize(domains, adaptation, parts)
        case "learned weights":
            domains = transfer.Domains((feed("source", (DIGIT, LETTER)),), feed("target"))
            return transfer.plan_finetune(domains, Full(), parts, pretrain_epochs=1)
        case "views" if not beside:
            plan = multitask.plan((feed("dataset"),), parts)
            views = {"dataset": feed("dataset", views=True).train}
            return with_pretraining(plan, (feed("dataset"),), views, 2, recipe)
        case "several modalities":
            data = feed("dataset", modalities=2)
            both = replace(parts, modalities=("image", "audio"))
            plan = with_spaces(multimodal.plan(data, both), build(term, TERM))
            if beside:
                return between_modalities(plan)
            return with_pretraining(plan, (data,), {"dataset": data.train}, 2, recipe)
        case _:
            return multitask.plan((feed("dataset", views=needs == "views"),), parts)


def with_spaces(plan: Plan, term: Term) -> Plan:
    """Return the plan with the term's shared space added to its models."""
    fits = (replace(fit, begin=lambda model: add_spaces(model, [term])) for fit in plan.fits)
    return replace(plan, fits=tuple(fits))


def model_of(fit: Fit) -> JointModel:
    torch.manual_seed(0)
    encoders: dict[str, Encoder] = {"image": SmallCnn(), "audio": ToyEncoder(width=4)}
    encoders = {name: encoders[name] for name in fit.modalities}
    widths = {name: encoder.out_features for name, encoder in encoders.items()}
    fusion = Single(widths) if len(widths) == 1 else Concat(widths)
    width = fusion.out_features
    heads = {head: Linear(width, spec.num_outputs) for head, spec in fit.heads.items()}
    model = hard_model(encoders, fusion, heads)
    fit.begin(model)
    return model


@dataclass
class Numbers(Recorder):
    """Keeps all numbers but times by fit, phase, step and tag."""

    values: dict[tuple[str, int, str], float] = field(default_factory=dict)

    def scalars(self, at: Position, values: Mapping[str, float]) -> None:
        kept = {k: v for k, v in values.items() if k not in TIMED}
        self.values |= {(at.phase, at.step, k): v for k, v in kept.items()}


@dataclass
class Trained:
    """What is left of a run: its result, its numbers, and the learner of its last phase."""

    result: dict[str, Any]
    values: dict[tuple[str, int, str], float]
    learners: list[Learner]


@pytest.fixture(autouse=True)
def _taught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `distill` find a model of another width in the place of a run's."""

    def load(directory: Path, device: torch.device) -> Teacher:
        torch.manual_seed(1)
        heads = {"digit": Linear(5, 3)}
        model = hard_model({"image": MLP(SPEC, hidden=[5])}, Single({"image": 5}), heads)
        return Teacher(model.eval().requires_grad_(False), {"image": SPEC}, {"digit": DIGIT})

    monkeypatch.setattr("jlrun.runs.saved_model.load_teacher", load)


@pytest.fixture
def learners(monkeypatch: pytest.MonkeyPatch) -> list[Learner]:
    """The learners of all phases, as they are made."""
    made: list[Learner] = []

    def keep(*arguments: Any) -> Learner:
        made.append(build_learner(*arguments))
        return made[-1]

    monkeypatch.setattr(fitting, "build_learner", keep)
    return made


def train(plan: Plan, path: Path, learners: list[Learner], stops: tuple[int, ...]) -> Trained:
    """Train the main fit; ``stops`` are the steps, of all phases, at which it is interrupted."""
    recorder = Numbers()
    for before, stop in pairwise((0, *stops)):
        context = toy_surroundings(StopAt(stop - before), recorder=recorder)
        with pytest.raises(Interrupted):
            FitRun(plan.fits[0], model_of(plan.fits[0]), FitFolder(path, 1e9), context).run({}, {})
    context = toy_surroundings(never, recorder=recorder)
    run = FitRun(plan.fits[0], model_of(plan.fits[0]), FitFolder(path, 1e9), context)
    result = asdict(run.run(plan.val, plan.test))
    del result["seconds"]
    return Trained(result, recorder.values, list(learners))


def assert_same(one: Any, two: Any, where: str = "") -> None:
    """Compare nested values, tensors to the last digit; NaN equals NaN and nothing else."""
    if isinstance(one, Tensor):
        same = {"rtol": 0, "atol": 0, "equal_nan": True}
        torch.testing.assert_close(one, two, **same, msg=where)
    elif isinstance(one, Mapping):
        assert one.keys() == two.keys(), where
        for key in one:
            assert_same(one[key], two[key], f"{where}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(two), where
        for i, (a, b) in enumerate(zip(one, two, strict=True)):
            assert_same(a, b, f"{where}/{i}")
    else:
        assert one == two or (one != one and two != two), where


def assert_resumed_is_whole(
    plan: Plan, acting: str, option: str, path: Path, learners: list[Learner]
) -> None:
    """Interrupt in the middle of two epochs of the phase in which the term acts."""
    phases = plan.fits[0].phases
    number = [phase.name for phase in phases].index(acting)
    first = sum(phase.num_steps for phase in phases[:number])
    whole = train(plan, path / "whole", learners, ())
    assert [option in learner.terms for learner in learners][number], "the term acts"
    tag = f"train/{option}/loss"
    values = [v for (phase, _, name), v in whole.values.items() if (phase, name) == (acting, tag)]
    assert values, "the term is recorded"
    assert all(map(math.isfinite, values)), values
    learners.clear()
    parts = train(plan, path / "parts", learners, (first + 1, first + 4))
    assert_same(whole.result, parts.result, "result")
    assert_same(whole.values, parts.values, "values")
    # Of the phase, whose learner was made three times, the last; of the others, the only one.
    after = len(phases) - 1 - number
    assert_same(whole.learners[number].state_dict(), learners[-1 - after].state_dict(), "learner")
    for name in ("best", "last", *(phase.name for phase in phases[:-1])):
        one, two = (checkpoints.load_tensors(path / run / name) for run in ("whole", "parts"))
        assert_same(one, two, name)


@pytest.mark.parametrize("option", OPTIONS)
def test_a_resumed_run_is_the_uninterrupted_one(
    option: str, tmp_path: Path, learners: list[Learner]
) -> None:
    plan = plan_for(option)
    acting = plan.fits[0].phases[-1].name
    assert_resumed_is_whole(plan, acting, option, tmp_path, learners)


@pytest.mark.parametrize("option", ALONE)
def test_a_resumed_phase_without_a_task_is_the_uninterrupted_one(
    option: str, tmp_path: Path, learners: list[Learner]
) -> None:
    plan = plan_for(option, beside=False)
    before, supervised = plan.fits[0].phases
    assert before.objectives == ()
    assert supervised.learned
    assert_resumed_is_whole(plan, before.name, option, tmp_path, learners)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("value", [1.0, NAN, INF, "text", None, [1.0, NAN], {"loss": NAN}])
def test_a_value_equals_itself(value: Any) -> None:
    assert_same(value, deepcopy(value))
    if isinstance(value, float):
        assert_same(torch.tensor([value, 0.0]), torch.tensor([value, 0.0]))


@pytest.mark.parametrize("two", [1.0, NAN, -INF, 3.4028234663852886e38])
@pytest.mark.parametrize("one", [0.0, INF])
def test_other_values_are_noticed(one: float, two: float) -> None:
    """Also where one of them is no number, or is the largest float instead of infinite."""
    for first, second in ((one, two), (two, one)):
        with pytest.raises(AssertionError):
            assert_same({"loss": [first]}, {"loss": [second]})
        with pytest.raises(AssertionError):
            assert_same(torch.tensor([first]), torch.tensor([second]))


@pytest.mark.parametrize("lost", ["average", "terms"])
def test_state_that_is_not_restored_is_noticed(
    lost: str,
    tmp_path: Path,
    learners: list[Learner],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The check of this file, checked: without what it remembered, a run goes another way."""
    owner = WeightAverage if lost == "average" else nn.ModuleDict
    monkeypatch.setattr(owner, "load_state_dict", lambda *_: None)
    with pytest.raises(AssertionError):
        assert_resumed_is_whole(plan_for("byol"), "train", "byol", tmp_path, learners)
