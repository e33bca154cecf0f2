"""Runs that train as one are the runs that they are by themselves, up to rounding.

How far rounding takes them apart, over trainings of some 20 steps: losses agree to 1e-4 of their
size, weights to 1e-3 of the largest one. Sums are added up in another order, and AdamW divides
gradients by their size, which makes a difference in the last digit of a tiny gradient a step.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from jlrun.config import checked
from jlrun.engine import session
from jlrun.errors import Interrupted, RunError
from jlrun.models import checkpoints
from jlrun.runs.assembly import assemble
from jlrun.runs.settings import RunSettings
from jlrun.training.fit import FitRun
from jlrun.training.fit_folder import FitFolder
from jlrun.training.recorder import Position, Recorder
from jlrun.training.spans import TrainContext
from jlrun.training.stacked.together import Member, together
from tests.toy import TIMED

SMALL = ("dataset.limit=160", "batch_size=16", "epochs=2", "baselines=false")
DIGITS = ("mode=multitask", "dataset=digits", *SMALL)
MLP = (*DIGITS, "backbone/image=mlp", "backbone.image.hidden=[24,12]")
CNN = (*DIGITS, "backbone.image.channels=[4,6]", "backbone.image.hidden=16")
TWO_SETS = (
    *("mode=multitask", "datasets=[digits,printed_digits]", *SMALL[1:], "backbone/image=mlp"),
    *(
        "backbone.image.hidden=[24,12]",
        "datasets.digits.limit=160",
        "datasets.printed_digits.limit=80",
    ),
)
SETS = ("source.limit=80", "target.limit=80", "target.shots=null")
SMALL_MLP = ("backbone/image=mlp", "backbone.image.hidden=[24,12]")
TRANSFER = ("mode=transfer", *SETS, *SMALL_MLP, *SMALL[1:])


class Kept(Recorder):
    """Keeps numbers and lines."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[Any, ...], float] = {}
        self.lines: list[str] = []

    def scalars(self, at: Position, values: Mapping[str, float]) -> None:
        own = {tag: value for tag, value in values.items() if tag not in TIMED}
        self.numbers |= {(at.phase, at.step, tag): value for tag, value in own.items()}

    def message(self, line: str) -> None:
        self.lines.append(line)


@dataclass
class Trained:
    """A main fit, and what it recorded."""

    run: FitRun
    recorder: Kept
    streams: tuple[Any, Any]
    folder: Path

    @classmethod
    def of(
        cls, overrides: Sequence[str], folder: Path, interrupted: Callable[[], bool] = bool
    ) -> Trained:
        last = {text.partition("=")[0]: text for text in overrides}
        composed = checked([*last.values(), f"hydra.run.dir={folder}"])
        assembly, recorder = assemble(RunSettings.parse(composed.config)), Kept()
        fit = assembly.plan.fits[0]
        seed = assembly.settings.seed
        context = TrainContext(assembly.engine, recorder, seed, 4, interrupted)
        run = FitRun(fit, assembly.new_model(fit), FitFolder(folder, 1e9), context)
        return cls(run, recorder, (assembly.plan.val, assembly.plan.test), folder)

    def member(self) -> Member:
        return Member(self.folder.name, self.run.training(*self.streams), "alike")

    def weights(self) -> dict[str, torch.Tensor]:
        return checkpoints.load_tensors(self.folder / "last")


def both(
    base: Sequence[str], varied: Sequence[Sequence[str]], path: Path
) -> tuple[list[Trained], list[Trained], list[str]]:
    """Train runs by themselves and together; return both, and what was said."""
    said: list[str] = []
    with session(threads=1, deterministic=True):
        alone = [Trained.of([*base, *own], path / f"a{i}") for i, own in enumerate(varied)]
        for each in alone:
            each.run.run(*each.streams)
        as_one = [Trained.of([*base, *own], path / f"t{i}") for i, own in enumerate(varied)]
        together([each.member() for each in as_one], raised, bool, said.append)
    return alone, as_one, said


def raised(member: Member) -> None:
    if member.error is not None:
        raise member.error


def assert_equal(alone: Sequence[Trained], as_one: Sequence[Trained]) -> None:
    for one, other in zip(alone, as_one, strict=True):
        expected, found = one.recorder.numbers, other.recorder.numbers
        assert list(found) == list(expected)
        losses = [key for key in expected if "loss" in key[2] or "/lr/" in key[2]]
        assert len(losses) > 8
        for key in losses:
            assert found[key] == pytest.approx(expected[key], rel=1e-4, abs=1e-6), key
        for name, weight in one.weights().items():
            near = 1e-3 * float(weight.abs().max()) + 1e-7
            torch.testing.assert_close(other.weights()[name], weight, rtol=0, atol=near)


def loss(trained: Trained) -> float:
    return next(iter(trained.recorder.numbers.values()))


CASES = {
    "seeds, rates and decays": (
        (*MLP, "tasks=[digit]"),
        (
            ("seed=0", "optimizer.lr=0.001"),
            ("seed=1", "optimizer.lr=0.01"),
            ("seed=2", "optimizer.lr=0.01", "optimizer.weight_decay=0.5"),
            ("seed=1", "optimizer.lr=0.001"),
        ),
    ),
    "fixed weights, SGD, clipping": (
        (*MLP, "weighting=static", "optimizer=sgd", "engine.clip_norm=0.5", "scheduler=cosine"),
        (
            ("weighting.weights.parity=0.1",),
            ("weighting.weights.parity=3", "optimizer.momentum=0.5"),
        ),
    ),
    "convolutions, dropout, learned weights, running average": (
        (*CNN, "backbone.image.dropout=0.5", "weighting=uncertainty", "ema=0.9"),
        (("seed=0",), ("seed=1", "optimizer.lr=0.003")),
    ),
    "dampened momentum": (
        (*MLP, "tasks=[digit]", "optimizer=sgd", "optimizer.nesterov=false"),
        (("seed=0", "+optimizer.dampening=0.5"), ("seed=1", "+optimizer.dampening=0.5")),
    ),
    "weights that only a term moves in a step": (
        (*TWO_SETS, "sampling=round_robin", "optimizer=sgd", "terms=[l2]", "terms.l2.weight=0.05"),
        (("seed=0",), ("seed=1",)),
    ),
    # Adam would divide the gradient of the keys' bias, which is rounding alone, by its size.
    "an encoder that is called run by run": (
        (*DIGITS, "backbone/image=vit_tiny", "backbone.image.depth=1", "optimizer=sgd"),
        (("seed=0",), ("seed=1",)),
    ),
    "pretraining and fine-tuning": (
        (*TRANSFER, "pretrain_epochs=1"),
        (("seed=0",), ("seed=1", "optimizer.lr=0.002")),
    ),
    "terms with networks of their own, lambda": (
        (*TRANSFER, "strategy=adapt", "terms=[dann]", "epochs=1", "adapt.oracle=false"),
        (("lambda_=0.1",), ("lambda_=2",)),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_runs_that_train_as_one_are_the_separate_runs(case: str, tmp_path: Path) -> None:
    base, varied = CASES[case]
    alone, as_one, said = both(base, varied, tmp_path)
    assert_equal(alone, as_one)
    assert not said
    assert len({loss(each) for each in as_one}) == len(varied), "the runs differ"


ALONE = {
    "weighting=pcgrad": "PCGrad combines task gradients",
    "weighting=famo": "FAMO looks at the losses after a step",
    "engine.accumulate=2": "engine.accumulate=2 divides its batches",
    "engine.precision=bf16": "engine.precision=bf16 scales or rounds by step",
    "sharing=mmoe": "MMoE shares more than a trunk",
    "optimizer=torch optimizer._target_=torch.optim.Adafactor": "Adafactor updates parameters of "
    "one run only",
    "backbone/image=cnn backbone.image.hidden=8 backbone.image.batch_norm=true": "BatchNorm "
    "normalises by the rows of a batch",
}


def test_an_order_of_data_sets_that_depends_on_the_seed_is_not_stacked(tmp_path: Path) -> None:
    base = (*TWO_SETS, "epochs=1", "sampling=proportional")
    alone, as_one, said = both(base, (("seed=0",), ("seed=1",)), tmp_path)
    reason = "Proportional sampling draws data sets in an order of each seed"
    assert said == [f"main, phase 'train' trains run by run: {reason}"]
    for one, other in zip(alone, as_one, strict=True):
        assert other.recorder.numbers == one.recorder.numbers


@pytest.mark.parametrize("choice", ALONE)
def test_what_can_not_be_stacked_says_why_and_trains_as_ever(choice: str, tmp_path: Path) -> None:
    encoder = () if "backbone" in choice else SMALL_MLP
    base = (*DIGITS, "epochs=1", *encoder, *choice.split())
    alone, as_one, said = both(base, (("seed=0",), ("seed=1",)), tmp_path)
    assert said == [f"main, phase 'train' trains run by run: {ALONE[choice]}"]
    for one, other in zip(alone, as_one, strict=True):
        assert other.recorder.lines == [f"trains by itself: {ALONE[choice]}"]
        assert other.recorder.numbers == one.recorder.numbers
        for name, weight in one.weights().items():
            assert torch.equal(other.weights()[name], weight), name


def test_runs_of_one_stack_end_when_each_is_out_of_patience(tmp_path: Path) -> None:
    base = (*MLP, "epochs=8", "patience=1", "optimizer=sgd", "tasks=[digit]")
    varied = [(f"seed={seed}", f"optimizer.lr={lr}") for seed, lr in ((0, 0.3), (1, 0.05), (2, 2))]
    alone, as_one, _ = both(base, varied, tmp_path)
    assert_equal(alone, as_one)
    ends = [max(step for _, step, _ in each.recorder.numbers) for each in as_one]
    assert len(set(ends)) > 1, "they end at different epochs"


def test_a_run_that_diverges_fails_alone(tmp_path: Path) -> None:
    failed: list[BaseException | None] = []
    base = (*MLP, "weighting=dwa", "epochs=3")  # which sums up the losses of steps
    with session(threads=1, deterministic=True):
        expected = Trained.of([*base, "seed=1"], tmp_path / "alone")
        expected.run.run(*expected.streams)
        runs = [
            Trained.of([*base, f"seed={i}", f"optimizer.lr={rate}"], tmp_path / str(i))
            for i, rate in enumerate(("1e30", "0.001", "0.01"))
        ]
        together([each.member() for each in runs], lambda member: failed.append(member.error), bool)
    errors = [error for error in failed if error is not None]
    assert len(errors) == 1
    assert isinstance(errors[0], RunError)
    assert "is not a finite number at step 2 of phase 'train'" in str(errors[0])
    assert_equal([expected], [runs[1]])
    weights = [tag for tag in expected.recorder.numbers if tag[2].startswith("weight/")]
    assert weights
    for tag in weights:
        assert runs[1].recorder.numbers[tag] == pytest.approx(
            expected.recorder.numbers[tag], rel=1e-5
        )


def test_stacked_runs_that_are_interrupted_resume_as_one_or_alone(tmp_path: Path) -> None:
    varied = (("seed=0",), ("seed=1", "optimizer.lr=0.01"))
    whole, _, _ = both(MLP, varied, tmp_path)
    asked = [0]

    def interrupted() -> bool:
        asked[0] += 1
        return asked[0] >= 6

    ends: list[BaseException | None] = []

    def begun(name: str) -> list[Trained]:
        return [Trained.of([*MLP, *own], tmp_path / f"{name}{i}") for i, own in enumerate(varied)]

    with session(threads=1, deterministic=True):
        halves = begun("r")
        together([h.member() for h in halves], lambda m: ends.append(m.error), interrupted)
        assert [type(end) for end in ends] == [Interrupted, Interrupted]
        sizes = [(each.folder / "last" / "state.pt").stat().st_size for each in halves]
        shutil.copytree(tmp_path / "r1", tmp_path / "alone1")
        rest = begun("r")
        together([each.member() for each in rest], raised, bool)
        alone = begun("alone")[1]
        alone.run.run(*alone.streams)
    finished = [*rest, alone]
    for one, other in zip([*whole, whole[1]], finished, strict=True):
        for name, weight in one.weights().items():
            torch.testing.assert_close(other.weights()[name], weight, rtol=0, atol=1e-4)
    by_itself = (whole[0].folder / "last" / "state.pt").stat().st_size
    assert max(sizes) < 1.2 * by_itself, "a checkpoint holds the state of its own run"
