"""Distillation: from a teacher made by hand, and from a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.cli.main import main
from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.data.specs import AudioSpec, ImageSpec, Spec, TabularSpec
from jlrun.data.streams import Stream
from jlrun.data.transforms import resize, to_channels
from jlrun.errors import UserError
from jlrun.models.encoders import MLP, TabularMLP
from jlrun.models.fusions import Single
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.transfer import Distill
from jlrun.objective.terms.transfer.distill import divergence
from jlrun.objective.terms.transfer.teacher import Teacher, TeacherAdapter
from jlrun.runs.saved_model import SavedTeachers, load_saved_model, load_teacher
from jlrun.runs.saved_run import load_run
from jlrun.tasks import Multiclass, TaskSpec
from tests.objective.terms.transfer.small import (
    SPECS,
    WIDTH,
    batch_of,
    small_model,
    start_of,
    view_of,
)
from tests.toy import CPU, hard_model, toy_rows

BIG = ImageSpec(3, 6, 8, (), ())


def teacher(spec: ImageSpec = BIG, width: int = 7, modality: str = "image") -> Teacher:
    torch.manual_seed(1)
    heads = {"digit": Linear(width, 3), "source_letter": Linear(width, 2)}
    encoder = MLP(spec, hidden=[width])
    model = hard_model({modality: encoder}, Single({modality: width}), heads)
    specs = {
        "digit": SPECS["digit"],
        "source_letter": TaskSpec("letter", Multiclass(), ("y", "z")),  # of other classes
    }
    return Teacher(model.double().eval().requires_grad_(False), {modality: spec}, specs)


@dataclass(frozen=True)
class One:
    """Teachers of whom every run has the same one."""

    teacher: Teacher

    def specs(self, directory: Path) -> Mapping[str, Spec]:
        return self.teacher.specs

    def load(self, directory: Path, device: torch.device) -> Teacher:
        return self.teacher


def begun(made: Teacher, model: JointModel, **keys) -> Distill:
    term = Distill(run="outputs/teacher", **keys)
    term.find_teachers_with(One(made))
    term.begin_phase(start_of(model))
    return term


def targets(made: Teacher, batch: Batch, spec: ImageSpec = BIG) -> Batch:
    x = resize(to_channels(batch.inputs["image"], spec.channels), spec.height, spec.width)
    return Batch({"image": x})


def normalised_gap(own: Tensor, other: Tensor) -> Tensor:
    own, other = (x / x.norm(dim=1, keepdim=True) for x in (own, other))
    return (own - other).square().sum(dim=1).mean()


def test_features_are_compared_through_a_linear_map() -> None:
    model, made = small_model(), teacher()
    term = begun(made, model)
    adapter = term.adapter
    assert isinstance(adapter, nn.Linear)
    assert adapter.weight.shape == (7, WIDTH)
    own, other = model(batch_of()).fused, made.model(targets(made, batch_of())).fused
    expected = normalised_gap(own @ adapter.weight.T + adapter.bias, other)
    value = term(view_of(model))
    torch.testing.assert_close(value, expected)
    grads = torch.autograd.grad(value, [*adapter.parameters(), *model.body.parameters()])
    assert all(grad.isfinite().all() and grad.any() for grad in grads)


def test_features_of_one_width_are_compared_as_they_are() -> None:
    model, made = small_model(), teacher(width=WIDTH)
    term = begun(made, model)
    expected = normalised_gap(model(batch_of()).fused, made.model(targets(made, batch_of())).fused)
    torch.testing.assert_close(term(view_of(model)), expected)
    assert not list(term.parameters())


def test_answers_of_heads_with_the_same_classes_are_distilled() -> None:
    model, made = small_model(), teacher(width=WIDTH)
    plain, both = (
        begun(made, model, logits=share, temperature=3.0)(view_of(model)) for share in (0.0, 0.5)
    )
    own = model(batch_of()).logits["digit"]
    other = made.model(targets(made, batch_of())).logits["digit"]
    expected = divergence(Multiclass(), own, other, 3.0).mean()
    torch.testing.assert_close(both - plain, 0.5 * expected)


def test_the_teacher_is_no_part_of_the_term() -> None:
    term = begun(teacher(), small_model())
    assert set(term.state_dict()) == {"adapter.weight", "adapter.bias"}
    assert len(list(term.modules())) == 2
    assert term.train()._adapter is not None
    assert not term._adapter._teacher.model.training  # pyright: ignore


def test_features_of_nothing_have_a_finite_gradient() -> None:
    model = small_model()
    term = begun(teacher(width=WIDTH), model)
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    value = term(view_of(model))
    torch.testing.assert_close(value, torch.ones(()).double())
    grads = torch.autograd.grad(value, list(model.body.parameters()))
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (teacher(modality="photo"), "the teacher takes 'photo', which this run does not have"),
        (teacher(ImageSpec(2, 4, 4, (), ())), "images of 1 channel for a model of 2"),
    ],
)
def test_inputs_that_the_teacher_cannot_take(made: Teacher, message: str) -> None:
    streams = start_of(small_model()).streams
    with pytest.raises(UserError, match=f"^terms.distill.run: .*{message}"):
        TeacherAdapter(made, streams, "terms.distill.run")


def test_audio_at_another_rate_is_refused() -> None:
    specs: dict[str, Spec] = {"audio": AudioSpec(8, 8000)}

    rows = toy_rows()
    stream = Stream(
        "target", rows, specs=specs, batch_size=2, seed=0, device=CPU, memory_budget=10**6
    )
    made = Teacher(teacher().model, {"audio": AudioSpec(8, 16000)}, {})
    with pytest.raises(UserError, match=r"terms\.distill\.run: audio: audio at 8000 Hz"):
        TeacherAdapter(made, {"target": stream}, "terms.distill.run")


def test_cells_of_a_table_are_standardised_once() -> None:
    """A teacher of a table gets the cells as the stream has them."""
    own = TabularSpec(("a", "b"), mean=(3.0, -1.0), std=(2.0, 4.0))
    other = TabularSpec(("a", "b"), mean=(5.0, 0.0), std=(1.0, 1.0))
    rows = TensorRows({"tabular": torch.tensor([[5.0, 3.0], [1.0, torch.nan]])}, {})
    stream = Stream(
        "target", rows, specs={"tabular": own}, batch_size=2, seed=0, device=CPU, memory_budget=1
    )
    heads = {"digit": Linear(2, 3)}
    encoder = TabularMLP(other, hidden=[2])
    model = hard_model({"tabular": encoder}, Single({"tabular": 2}), heads)
    adapter = TeacherAdapter(
        Teacher(model.eval(), {"tabular": other}, {}), {"target": stream}, "run"
    )
    batch = next(iter(stream.sweep()))
    expected = torch.tensor([[1.0, 1.0], [-1.0, torch.nan]])
    torch.testing.assert_close(batch.inputs["tabular"], expected, equal_nan=True)
    found = adapter.outputs("target", batch).fused
    torch.testing.assert_close(found, model(Batch({"tabular": expected})).fused)


def of_run(directory: Path) -> Distill:
    term = Distill(run=str(directory))
    term.find_teachers_with(SavedTeachers())
    return term


def test_a_run_has_to_be_named_and_to_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^terms\.distill\.run: null: a teacher is needed"):
        Distill().begin_phase(start_of(small_model()))
    with pytest.raises(UserError, match=r"^terms\.distill\.run: .*there is no run here"):
        of_run(tmp_path).begin_phase(start_of(small_model()))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher") / "run"
    small = ["epochs=1", "dataset.limit=64", "backbone/image=mlp", "backbone.image.hidden=[6]"]
    quiet = [f"recorder.{what}=false" for what in ("figures", "tensorboard")]
    rest = ["baselines=false", "engine.threads=1", "recorder.progress=none"]
    assert main(["mode=multitask", *small, *quiet, *rest, f"hydra.run.dir={folder}"]) == 0
    return folder


def test_the_teacher_is_the_selected_model_of_its_run(run: Path) -> None:
    made = load_teacher(run, torch.device("cpu"))
    saved = load_saved_model(run, load_run(run)[0])
    spec = made.specs["image"]
    assert isinstance(spec, ImageSpec)
    batch = Batch({"image": torch.rand(3, spec.channels, spec.height, spec.width)})
    torch.testing.assert_close(made.model(batch).logits, saved.model(batch).logits)
    assert set(made.heads) == {o.head for o in saved.scored}
    assert not made.model.training
    assert not any(p.requires_grad for p in made.model.parameters())


def test_a_run_teaches_a_model_of_other_images(run: Path) -> None:
    model = small_model()
    start = start_of(model)
    term = of_run(run)
    term.begin_phase(start)
    value = term(view_of(model))
    assert value.isfinite()
    assert 0 < value <= 4
    made = load_teacher(run, torch.device("cpu"))
    spec = made.specs["image"]
    assert isinstance(spec, ImageSpec)
    batch = targets(made, batch_of(), spec)
    fused = made.model(Batch({"image": batch.inputs["image"].float()})).fused
    own = term.adapter(model(batch_of()).fused)
    expected = (F.normalize(own) - F.normalize(fused).double()).square().sum(dim=1).mean()
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)


def test_an_unfinished_run_is_no_teacher(run: Path, tmp_path: Path) -> None:
    for name in ("config.yaml", "overrides.yaml"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    start = start_of(small_model())
    with pytest.raises(UserError, match=r"^terms\.distill\.run: .*no selected model yet"):
        of_run(tmp_path).begin_phase(start)
