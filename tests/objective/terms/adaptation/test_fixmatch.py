"""Pseudo-labels, strong augmentation and the teacher."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.data.specs import AudioSpec
from jlrun.data.streams import Stream
from jlrun.errors import UserError
from jlrun.models.joint_model import JointModel, Outputs
from jlrun.objective.terms.adaptation import FixMatch
from jlrun.objective.terms.adaptation.fixmatch import MeanTeacher, strongly_augmented
from jlrun.objective.terms.base import PhaseStart, StepView
from tests.objective.terms.adaptation.domains import (
    DIGIT,
    PAIR,
    SPECS,
    begun,
    drawn_outputs,
    model_view,
    number,
    small_model,
    start_of,
    view_of,
)
from tests.toy import CPU


class Fixed(nn.Module):
    """A model that gives the same logits for whatever it sees, and remembers what it saw."""

    def __init__(self, outputs: Outputs) -> None:
        super().__init__()
        self.outputs = outputs
        self.seen: list[Batch] = []

    def forward(self, batch: Batch, heads: Collection[str]) -> Outputs:
        self.seen.append(batch)
        return self.outputs


def fixed_view(weak: Outputs, strong: Outputs) -> tuple[StepView, Fixed]:
    model, view = Fixed(strong), view_of({"source": drawn_outputs(3, 0), "target": weak})
    return StepView(model, view.batches, view.outputs, 0.5, view.tasks), model


def test_rows_above_the_threshold_learn_their_label() -> None:
    weak, strong = drawn_outputs(6, 3, DIGIT), drawn_outputs(6, 4, DIGIT)
    q = weak.logits["digit"].detach().softmax(1)
    threshold = float(q.max(1).values.sort().values[2:4].mean())  # three rows of six are above
    view, _ = fixed_view(weak, strong)
    value = begun(FixMatch(threshold=threshold), specs=DIGIT)(view)
    losses = F.cross_entropy(strong.logits["digit"], q.argmax(1), reduction="none")
    above = q.max(1).values >= threshold
    assert int(above.sum()) == 3
    assert number(value) == pytest.approx(number(losses[above].sum()) / 6)
    value.backward()
    assert weak.logits["digit"].grad is None
    grad = strong.logits["digit"].grad
    assert grad is not None
    torch.testing.assert_close(grad.any(dim=1), above)


def test_yes_or_no_and_several_heads() -> None:
    weak, strong = drawn_outputs(6, 3), drawn_outputs(6, 4)
    view, _ = fixed_view(weak, strong)
    value = begun(FixMatch(threshold=0.0))(view)
    label = (weak.logits["even"][:, 0] > 0).double()
    even = F.binary_cross_entropy_with_logits(strong.logits["even"][:, 0], label)
    digit = F.cross_entropy(strong.logits["digit"], weak.logits["digit"].argmax(1))
    assert number(value) == pytest.approx(number(even + digit))


def test_nothing_is_certain_enough() -> None:
    view, _ = fixed_view(drawn_outputs(6, 0), drawn_outputs(6, 4))
    value = begun(FixMatch(threshold=1.0))(view)
    assert number(value) == 0
    value.backward()


def test_the_model_sees_changed_images_without_labels() -> None:
    term, model = begun(FixMatch()), small_model()
    view = model_view(model, {"source": 3, "target": 40})
    watched = Fixed(view.outputs["target"])
    torch.manual_seed(0)
    term(StepView(watched, view.batches, view.outputs, 0.5, view.tasks))
    (batch,) = watched.seen
    before = view.batches["target"].inputs["image"]
    assert batch.inputs["image"].shape == before.shape
    assert ((batch.inputs["image"] != before).flatten(1).any(dim=1)).all()
    assert not batch.targets


def test_the_same_seed_gives_the_same_loss() -> None:
    model = small_model()
    term, view = begun(FixMatch(threshold=0.0)), model_view(model, {"source": 3, "target": 6})
    values = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        values.append(number(term(view)))
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize("channels", [1, 3])
def test_strong_images_stay_in_range_and_keep_their_kind(channels: int) -> None:
    x = torch.randn(64, channels, 10, 12, generator=torch.Generator().manual_seed(0))
    y = strongly_augmented(x, torch.Generator().manual_seed(1))
    low, high = x.amin((0, 2, 3), keepdim=True), x.amax((0, 2, 3), keepdim=True)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert ((y >= low) & (y <= high)).all()
    torch.testing.assert_close(y, strongly_augmented(x, torch.Generator().manual_seed(1)))
    assert not torch.equal(y, strongly_augmented(x, torch.Generator().manual_seed(2)))
    torch.testing.assert_close(
        strongly_augmented(x.double(), torch.Generator().manual_seed(1)).float(),
        y,
        rtol=1e-3,
        atol=1e-3,
    )


def test_a_square_of_half_the_side_is_cut_out() -> None:
    x = torch.full((400, 1, 16, 16), 3.0)
    # Constant images have the same extremes, so that only what is uncovered or cut out can change.
    y = strongly_augmented(x, torch.Generator().manual_seed(0))
    cut = (y == 0).flatten(1).sum(dim=1)
    assert set(y.unique().tolist()) == {0.0, 3.0}
    assert int(cut.min()) >= 16  # at a corner a quarter of the 8 × 8 square is left
    assert 30 < float(cut.float().median()) <= 64


def test_changes_vary_from_image_to_image() -> None:
    x = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(0)).expand(200, -1, -1, -1)
    y = strongly_augmented(x.clone(), torch.Generator().manual_seed(0))
    assert len(y.flatten(1).unique(dim=0)) > 190


def test_the_teacher_follows_slowly_after_its_first_steps() -> None:
    model = small_model(norm=True)
    teacher = MeanTeacher(model, decay=0.7)
    kept = None
    for step in range(6):
        with torch.no_grad():
            for tensor in (
                *model.parameters(),
                *(b for b in model.buffers() if b.is_floating_point()),
            ):
                tensor += torch.randn_like(tensor)
        teacher.follow(model)
        # Means of all steps so far, until 1 − 1 / (t + 1) is more than 0.7: at t = 3.
        decay = min(0.7, 1 - 1 / (step + 1))
        weights = {n: p.detach().clone() for n, p in model.named_parameters()}
        if kept is None:
            kept = weights
        kept = {n: decay * kept[n] + (1 - decay) * w for n, w in weights.items()}
        found = dict(teacher.copy.model.named_parameters())
        for name, wanted in kept.items():
            torch.testing.assert_close(found[name].detach(), wanted)
    for own, new in zip(teacher.copy.model.buffers(), model.buffers(), strict=True):
        torch.testing.assert_close(own, new)


def test_the_teacher_labels_in_evaluation_mode() -> None:
    model = small_model(norm=True)
    term = begun(FixMatch(threshold=0.0, teacher=True), specs=SPECS, model=model)
    teacher = deepcopy(model).eval()
    with torch.no_grad():
        for p in model.parameters():
            p += torch.randn(p.shape, generator=torch.Generator().manual_seed(1)).to(p)
    view = model_view(model.train(), {"source": 3, "target": 6})
    term.train()
    strong = drawn_outputs(6, 4)
    view = StepView(Fixed(strong), view.batches, view.outputs, 0.5, view.tasks)
    labels = teacher(view.batches["target"]).logits
    wanted = F.cross_entropy(strong.logits["digit"], labels["digit"].argmax(1))
    yes = (labels["even"][:, 0] > 0).double()
    wanted = wanted + F.binary_cross_entropy_with_logits(strong.logits["even"][:, 0], yes)
    assert number(term(view)) == pytest.approx(number(wanted))
    assert not [name for name, p in term.named_parameters() if p.requires_grad]


def test_the_teacher_is_state() -> None:
    model = small_model()
    term = begun(FixMatch(threshold=0.0, teacher=True), model=model)
    for _ in range(3):
        with torch.no_grad():
            for p in model.parameters():
                p += 0.3 * torch.randn_like(p)
        term.after_step(model, 0.5)
    resumed = begun(FixMatch(threshold=0.0, teacher=True), model=model)
    resumed.load_state_dict(term.state_dict())
    for _ in range(2):
        with torch.no_grad():
            for p in model.parameters():
                p += 0.3 * torch.randn_like(p)
        for each in (term, resumed):
            each.after_step(model, 0.5)
    state: Mapping[str, Tensor] = resumed.state_dict()
    for name, tensor in term.state_dict().items():
        torch.testing.assert_close(state[name], tensor, rtol=0, atol=0)


def test_without_a_teacher_there_is_no_state() -> None:
    term = begun(FixMatch())
    term.after_step(small_model(), 0.5)
    assert not term.state_dict()


def waves_start(model: JointModel) -> PhaseStart:
    waves = Stream(
        "target",
        TensorRows({"sound": torch.zeros(4, 80)}, {"digit": torch.zeros(4, dtype=torch.int64)}),
        specs={"sound": AudioSpec(80, 8000)},
        batch_size=2,
        seed=0,
        device=CPU,
        memory_budget=10**6,
    )
    start = start_of(model, PAIR)
    return PhaseStart(model, start.tasks, start.observed, {**start.streams, "target": waves}, 10)


def test_other_inputs_are_refused() -> None:
    with pytest.raises(UserError, match=r"terms\.fixmatch: .*sound are no images"):
        FixMatch().begin_phase(waves_start(small_model()))
