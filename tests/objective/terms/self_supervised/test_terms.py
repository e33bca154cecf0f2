"""What holds for every self-supervised term."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.data.streams import Stream
from jlrun.errors import UserError
from jlrun.models.fusions import Single
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.models.sharing import CrossStitch
from jlrun.models.trunk import Trunk
from jlrun.objective.terms.base import StepView, Term
from jlrun.objective.terms.self_supervised import MAE, Rotation, SupCon
from jlrun.objective.terms.self_supervised.projector import projector
from jlrun.objective.terms.self_supervised.rows import encode_views
from tests.objective.terms.self_supervised.phase import (
    ENCODERS,
    OF_IMAGES,
    SPEC,
    TERMS,
    WAVE,
    begun,
    image_model,
    model_of,
    rows_of,
    start_of,
    step_view,
    stream_of,
    wave_model,
)
from tests.toy import ToyEncoder

each = pytest.mark.parametrize("name", TERMS)
each_of_anything = pytest.mark.parametrize("name", [n for n in TERMS if n not in OF_IMAGES])
IMAGES = stream_of("dataset", rows_of("image", 24))


def seeded(term: Term, view: StepView) -> Tensor:
    torch.manual_seed(5)
    return term(view)


def gradients(value: Tensor, module: torch.nn.Module) -> dict[str, Tensor]:
    named = {n: p for n, p in module.named_parameters() if p.requires_grad}
    grads = torch.autograd.grad(
        value, list(named.values()), retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return dict(zip(named, grads, strict=True))


@each
@pytest.mark.parametrize("encoder", ENCODERS)
def test_it_trains_the_encoder_and_all_of_its_own(name: str, encoder: str) -> None:
    model = image_model(encoder)
    term = begun(TERMS[name](), model, IMAGES)
    value = seeded(term, step_view(model, IMAGES))
    assert value.shape == ()
    assert value.isfinite()
    own = gradients(value, term)
    assert own
    assert all(grad.isfinite().all() for grad in own.values())
    assert [n for n, grad in own.items() if not grad.abs().sum() > 0] == []
    body = gradients(value, model.body)
    assert all(grad.isfinite().all() for grad in body.values())
    assert any(grad.abs().sum() > 0 for grad in body.values())


@each_of_anything
def test_it_takes_waves(name: str) -> None:
    model, stream = wave_model(), stream_of("dataset", rows_of("wave", 24))
    term = begun(TERMS[name](), model, stream)
    value = seeded(term, step_view(model, stream))
    assert any(grad.abs().sum() > 0 for grad in gradients(value, model.body).values())


@each
def test_a_part_of_one_row_or_of_none(name: str) -> None:
    model = image_model()
    term = begun(TERMS[name](), model, IMAGES)
    view = step_view(model, IMAGES)
    one = {"dataset": view.batches["dataset"].select(torch.tensor([0]))}
    value = seeded(term, replace(view, batches=one))
    assert value.isfinite()
    assert all(grad.isfinite().all() for grad in gradients(value, model.body).values())
    nothing = seeded(term, replace(view, batches={}))
    assert nothing.item() == 0
    assert nothing.shape == ()


@each
def test_all_streams_count_as_one_batch(name: str) -> None:
    model = image_model()
    whole = stream_of("dataset", rows_of("image", 12), batch=12)
    term = begun(TERMS[name](), model, whole)
    view = step_view(model, whole)
    batch = view.batches["dataset"]
    first, second = batch.select(torch.arange(5)), batch.select(torch.arange(5, 12))
    streams = {"dataset": first, "other": second.without_labels()}
    if name == "supcon":  # classes of streams that share no head are different
        streams["other"] = replace(second, targets={"digit": second.targets["digit"] + 3})
        same = replace(first, targets={"digit": first.targets["digit"]})
        streams["dataset"] = same
        term._columns["other"], term._groups["other"] = "digit", 0
        apart = Batch.concatenate([same, streams["other"]])
        view = replace(view, batches={"dataset": apart})
    expected = seeded(term, view)
    found = seeded(term, replace(view, batches=streams))
    torch.testing.assert_close(found, expected)


@each
def test_double_precision_stays(name: str) -> None:
    model = image_model("mlp")
    single = seeded(begun(TERMS[name](), model, IMAGES), step_view(model, IMAGES))
    model.double()
    view = step_view(model, IMAGES)
    batches = {n: _double(batch) for n, batch in view.batches.items()}
    double = seeded(begun(TERMS[name](), model, IMAGES), replace(view, batches=batches))
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, rtol=1e-3, atol=1e-5)


def _double(batch: Batch) -> Batch:
    def each_of(inputs) -> dict[str, Tensor]:
        return {n: x.double() for n, x in inputs.items()}

    return replace(
        batch, inputs=each_of(batch.inputs), views=tuple(each_of(v) for v in batch.views)
    )


@each
@pytest.mark.parametrize("encoder", ["mlp", "vit"])
def test_half_precision_gives_about_the_same(name: str, encoder: str) -> None:
    model = image_model(encoder)
    term, view = begun(TERMS[name](), model, IMAGES), step_view(model, IMAGES)
    expected = seeded(term, view)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = seeded(term, view)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected, rtol=5e-2, atol=1e-2)
    assert all(grad.isfinite().all() for grad in gradients(value, term).values())


@each
def test_a_frozen_model_and_weights_of_zero(name: str) -> None:
    model = image_model()
    term = begun(TERMS[name](), model, IMAGES)
    view = step_view(model, IMAGES)
    model.requires_grad_(False)
    assert seeded(term, view).isfinite()
    model.requires_grad_(True)
    with torch.no_grad():
        for parameter in (*model.parameters(), *term.parameters()):
            parameter.zero_()
    value = seeded(term, view)
    assert value.isfinite()
    assert all(grad.isfinite().all() for grad in gradients(value, model.body).values())
    assert all(grad.isfinite().all() for grad in gradients(value, term).values())


@each
def test_its_state_is_all_there_is(name: str) -> None:
    """A resumed phase begins anew from weights of its middle, then gets the state back."""
    model = image_model()
    term = begun(TERMS[name](), model, IMAGES, seed=1)
    _train(term, model, steps=2)
    other = begun(TERMS[name](), model, IMAGES, seed=2)
    other.load_state_dict(term.state_dict())
    view = step_view(model, IMAGES)
    assert seeded(other, view).item() == seeded(term, view).item()


def _train(term: Term, model: JointModel, steps: int) -> None:
    trained = [p for p in (*model.parameters(), *term.parameters()) if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.05)
    for step in range(steps):
        batches = {"dataset": next(IMAGES.batches(step, step + 1))}
        optimizer.zero_grad()
        torch.manual_seed(step)
        term(StepView(model, batches, {}, step / steps)).backward()
        optimizer.step()
        term.after_step(model, step / steps)


@each
def test_a_look_changes_no_state(name: str) -> None:
    model = image_model()
    term = begun(TERMS[name](), model, IMAGES)
    before = {n: x.clone() for n, x in term.state_dict().items()}
    with torch.no_grad():
        term(step_view(model, IMAGES))
    assert all(torch.equal(x, before[n]) for n, x in term.state_dict().items())


@each
def test_training_lowers_it(name: str) -> None:
    model = image_model()
    term = begun(TERMS[name](), model, IMAGES)
    view = step_view(model, IMAGES)
    before = seeded(term, view).item()
    trained = [p for p in (*model.parameters(), *term.parameters()) if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        seeded(term, view).backward()
        optimizer.step()
    assert seeded(term, view).item() < before


@pytest.mark.parametrize("name", OF_IMAGES)
def test_what_is_about_images_refuses_waves(name: str) -> None:
    model, stream = wave_model(), stream_of("dataset", rows_of("wave", 24))
    with pytest.raises(
        UserError, match=rf"terms\.{name}: .*images, and the data has none, only wav"
    ):
        begun(TERMS[name](), model, stream)


def test_rotation_refuses_oblong_images() -> None:
    rows = TensorRows({"image": torch.zeros(8, 3, 8, 6, dtype=torch.uint8)}, {})
    oblong = stream_of("dataset", rows, spec=ImageSpec(3, 8, 6, (0.5,) * 3, (0.5,) * 3))
    with pytest.raises(UserError, match=r"terms\.rotation: images of 8×6 pixels"):
        begun(Rotation(), image_model(), oblong)


@pytest.mark.parametrize("name", OF_IMAGES)
def test_rows_without_the_image_are_left_out(name: str) -> None:
    model = image_model()
    term = begun(TERMS[name](), model, IMAGES)
    view = step_view(model, IMAGES)
    batch = view.batches["dataset"]
    there = torch.tensor([True, False, True, True, False, False])
    partly = replace(batch, present={"image": there})
    expected = seeded(term, replace(view, batches={"dataset": batch.select(there)}))
    found = seeded(term, replace(view, batches={"dataset": partly}))
    torch.testing.assert_close(found, expected)
    none = replace(batch, present={"image": torch.zeros(6, dtype=torch.bool)})
    assert seeded(term, replace(view, batches={"dataset": none})).item() == 0


def test_a_rotation_is_told_from_the_features() -> None:
    """A head that knows nothing has log 4; on rotated copies of one image it learns them all."""
    model = image_model("mlp")
    term = begun(Rotation(), model, IMAGES)
    with torch.no_grad():
        term.head.weight.zero_()
        term.head.bias.zero_()
    value = term(step_view(model, IMAGES))
    torch.testing.assert_close(value, torch.tensor(4.0).log())
    images = step_view(model, IMAGES).batches["dataset"].inputs["image"]
    seen: list[Tensor] = []
    model.body.register_forward_pre_hook(lambda _, args: seen.append(args[0].inputs["image"]))
    term(step_view(model, IMAGES))
    (turned,) = seen
    for k in range(4):
        assert torch.equal(turned[6 * k : 6 * k + 6], torch.rot90(images, k, (2, 3)))


class TestLabels:
    def test_unlabelled_rows_are_refused(self) -> None:
        stream = stream_of("target", rows_of("image", 24), labelled=False)
        with pytest.raises(
            UserError, match=r"terms\.supcon: .*classes, and target has none.*simcl"
        ):
            begun(SupCon(), image_model(), stream)
        rows = rows_of("image", 24)
        nobody = TensorRows(
            rows.fetch(torch.arange(24)).inputs,
            {"digit": torch.zeros(24, dtype=torch.long), "height": torch.zeros(24)},
            labelled={"digit": torch.zeros(24, dtype=torch.bool)},
        )
        with pytest.raises(UserError, match=r"terms\.supcon"):
            begun(SupCon(), image_model(), stream_of("dataset", nobody))

    def test_a_column_that_is_not_there(self) -> None:
        with pytest.raises(UserError, match=r"terms\.supcon\.labels: 'digt'.*Did you mean 'digit'"):
            begun(SupCon(labels="digt"), image_model(), IMAGES)

    @pytest.mark.parametrize("shared", [True, False])
    def test_streams_share_classes_if_they_share_a_head(self, shared: bool) -> None:
        streams = [stream_of(n, rows_of("image", 12), batch=12) for n in ("source", "target")]
        heads = {n: ["digit"] for n in ("source", "target")} if shared else {}
        term, model = SupCon(), image_model()
        term.begin_phase(start_of(model, streams, heads))
        view = step_view(model, *streams)
        classes = term._classes(view.batches, torch.device("cpu"))
        digits = torch.cat([b.targets["digit"] for b in view.batches.values()])
        alike = digits[:, None] == digits
        if not shared:
            source = torch.arange(24) < 12
            alike &= source[:, None] == source
        assert torch.equal(classes[:, None] == classes, alike)

    def test_a_row_without_a_label_is_like_itself_only(self) -> None:
        term, model = begun(SupCon(), image_model(), IMAGES), image_model()
        batch = step_view(model, IMAGES).batches["dataset"]
        known = torch.tensor([True, False, True, True, False, True])
        partly = replace(batch, labelled={"digit": known})
        classes = term._classes({"dataset": partly}, torch.device("cpu"))
        assert len(classes[~known].unique()) == 2
        assert bool((classes[known] >= 0).all())
        assert bool((classes[~known] < 0).all())
        assert torch.equal(classes[known], batch.targets["digit"][known])


def test_both_views_pass_at_once_in_order() -> None:
    model = image_model("mlp")
    view = step_view(model, IMAGES)
    features = encode_views(view)
    assert features is not None
    batch = view.batches["dataset"]
    one_by_one = torch.cat([model.encode(batch.view(0)), model.encode(batch.view(1))])
    torch.testing.assert_close(features, one_by_one)


def test_a_projector_is_the_same_in_both_modes_and_keeps_nothing() -> None:
    net, x = projector(4, 6, 3, layers=3), torch.randn(5, 4)
    torch.testing.assert_close(net.eval()(x), net.train()(x), rtol=0, atol=0)
    assert list(net.buffers()) == []
    assert [tuple(p.shape) for p in net.parameters() if p.ndim == 2] == [(6, 4), (6, 6), (3, 6)]


@pytest.mark.parametrize("name", ["byol", "simclr"])
def test_several_trunks_are_taken(name: str) -> None:
    def trunk() -> Trunk:
        encoder = ToyEncoder(dropout=0)
        return Trunk({"wave": encoder}, Single({"wave": encoder.out_features}))

    heads = {n: Linear(6, 3) for n in ("digit", "parity")}
    model = JointModel(CrossStitch(trunk, tuple(heads)), heads)
    stream = stream_of("dataset", rows_of("wave", 24))
    term = begun(TERMS[name](), model, stream)
    assert seeded(term, step_view(model, stream)).isfinite()


def test_mae_of_an_image_in_a_single_patch_is_refused() -> None:
    tiny = stream_of(
        "dataset",
        TensorRows({"image": torch.zeros(8, 3, 1, 1, dtype=torch.uint8)}, {}),
        spec=ImageSpec(3, 1, 1, (0.5,) * 3, (0.5,) * 3),
    )
    with pytest.raises(UserError, match=r"terms\.mae: images of 1×1 pixels are a single patch"):
        begun(MAE(), image_model(), tiny)


def test_mae_with_heads_that_do_not_divide_its_width() -> None:
    with pytest.raises(UserError, match=r"terms\.mae\.heads: 3 heads"):
        begun(MAE(width=16, heads=3), image_model("vit"), IMAGES)


@pytest.mark.parametrize("name", OF_IMAGES)
def test_it_is_zero_on_a_baseline_that_takes_no_images(name: str) -> None:
    model = model_of(ToyEncoder(), "wave")
    inputs = {**rows_of("image", 8).fetch(torch.arange(8)).inputs, "wave": torch.randn(8, 4)}
    both = Stream(
        "dataset",
        TensorRows(inputs, {}),
        specs={"image": SPEC, "wave": WAVE},
        batch_size=4,
        seed=0,
        device=torch.device("cpu"),
        memory_budget=10**6,
    )
    term = begun(TERMS[name](), model, both)
    assert list(term.parameters()) == []
    assert term(step_view(model, both)).item() == 0
