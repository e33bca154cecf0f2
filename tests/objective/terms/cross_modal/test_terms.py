"""Terms between modalities: pairs, holes, who is alike, and what they keep."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.data.batch import Batch
from jlrun.data.positives import row_keys
from jlrun.errors import UserError
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms import StepView
from jlrun.objective.terms.cross_modal import (
    CLIP,
    CMC,
    CrossModal,
    MaskedModality,
    SigLIP,
    VICRegModalities,
)
from jlrun.objective.terms.cross_modal.losses import symmetric_contrastive
from jlrun.objective.terms.self_supervised.vicreg import vicreg_loss
from tests.objective.terms.cross_modal.three import batch_of, begun, model_of, view_of

ALL = {
    "clip": lambda **keys: CLIP(out_features=4, **keys),
    "siglip": lambda **keys: SigLIP(out_features=4, **keys),
    "cmc": lambda **keys: CMC(out_features=4, memory=6, **keys),
    "vicreg": lambda **keys: VICRegModalities(hidden=8, out_features=4, **keys),
}
each = pytest.mark.parametrize("make", ALL.values(), ids=ALL)


def projected(model: JointModel, batch: Batch, space: str) -> dict[str, Tensor]:
    return model.spaces[space](model.features(batch))


def clip_of(model: JointModel, batch: Batch, one: str, other: str, positives: Tensor) -> Tensor:
    z = projected(model, batch, "clip")
    x, y = F.normalize(z[one], dim=1), F.normalize(z[other], dim=1)
    return symmetric_contrastive(x, y, positives, torch.tensor(1 / 0.07))


def test_clip_is_the_mean_over_pairs() -> None:
    term = CLIP(out_features=4)
    model, batch = model_of(term), batch_of(6)
    positives = row_keys(batch)[:, None] == row_keys(batch)
    pairs = [("audio", "series"), ("audio", "text"), ("series", "text")]
    expected = torch.stack([clip_of(model, batch, *pair, positives) for pair in pairs]).mean()
    torch.testing.assert_close(begun(term, model)(view_of(model, batch)), expected)


def test_an_anchor_is_paired_with_each_other_modality() -> None:
    term = CLIP(out_features=4, anchor="text")
    model, batch = model_of(term), batch_of(6)
    positives = row_keys(batch)[:, None] == row_keys(batch)
    pairs = [("text", "audio"), ("text", "series")]
    expected = torch.stack([clip_of(model, batch, *pair, positives) for pair in pairs]).mean()
    torch.testing.assert_close(begun(term, model)(view_of(model, batch)), expected)


def test_some_of_the_modalities_have_a_space() -> None:
    term = CLIP(out_features=4, modalities=["audio", "text"])
    model = model_of(term)
    space = model.space("clip")
    assert space is not None
    assert space.modalities == ("audio", "text")


def test_the_outputs_of_the_step_are_used_where_there_are_any() -> None:
    term = CLIP(out_features=4)
    model, batch = model_of(term), batch_of(6)
    begun(term, model)
    alone = view_of(model, batch)
    beside = replace(alone, outputs={"stream0": model(batch)})
    torch.testing.assert_close(term(beside), term(alone))
    other = replace(alone, outputs={"stream0": model(batch_of(6, seed=3))})
    assert term(other).item() != pytest.approx(term(alone).item())


@each
def test_rows_without_a_modality_are_left_out_of_its_pairs(make) -> None:
    term = make(modalities=["audio", "series"])
    model = model_of(term)
    begun(term, model)
    holes = batch_of(8, absent={"series": (1, 5)})
    kept = holes.select(torch.tensor([0, 2, 3, 4, 6, 7]))
    whole = Batch(kept.inputs, kept.targets)
    torch.testing.assert_close(term(view_of(model, holes)), term(view_of(model, whole)))


@each
def test_it_does_not_depend_on_what_stands_in_a_hole(make) -> None:
    term = make()
    model = model_of(term)
    begun(term, model)
    batch = batch_of(8, absent={"series": (1, 5), "text": (1,)})
    series = batch.inputs["series"].clone()
    series[[1, 5]] = 100.0
    other = replace(batch, inputs={**batch.inputs, "series": series})
    torch.testing.assert_close(term(view_of(model, batch)), term(view_of(model, other)))


@each
@pytest.mark.parametrize("left", [0, 1])
def test_fewer_than_two_pairs_are_zero_and_not_nan(make, left: int) -> None:
    term = make(modalities=["audio", "series"])
    model = model_of(term)
    begun(term, model)
    value = term(view_of(model, batch_of(4, absent={"series": range(left, 4)})))
    assert value.item() == 0
    grads = torch.autograd.grad(value, list(model.spaces.parameters()))
    assert all(grad.isfinite().all() for grad in grads)


def test_a_pair_without_rows_is_left_out_of_the_mean() -> None:
    term = CLIP(out_features=4)
    model = model_of(term)
    begun(term, model)
    batch = batch_of(6, absent={"text": range(6)})
    own = torch.eye(6, dtype=torch.bool)
    expected = clip_of(model, batch, "audio", "series", own)
    torch.testing.assert_close(term(view_of(model, batch)), expected)


def test_rows_with_the_same_text_are_alike() -> None:
    batch = batch_of(6, repeated=True, absent={"text": (4,)})
    keys = row_keys(batch)
    same = keys[:, None] == keys
    # Every second row says the same; the one without a text says nothing.
    assert same[0].tolist() == [True, False, True, False, False, False]
    assert int(keys[4]) < 0
    assert (keys[[0, 1, 2, 3, 5]] >= 0).all()


def test_rows_with_the_same_labels_are_alike_in_training() -> None:
    plain, told = CLIP(out_features=4), CLIP(out_features=4, positives=["colour"])
    model, batch = model_of(plain), batch_of(6)
    colour = batch.targets["colour"]
    begun(plain, model)
    begun(told, model)
    pairs = [("audio", "series"), ("audio", "text"), ("series", "text")]
    same = colour[:, None] == colour
    expected = torch.stack([clip_of(model, batch, *pair, same) for pair in pairs]).mean()
    torch.testing.assert_close(told(view_of(model, batch)), expected)
    assert told(view_of(model, batch)).item() != pytest.approx(plain(view_of(model, batch)).item())


def test_unlabelled_rows_are_like_no_other() -> None:
    batch = replace(batch_of(6), labelled={"colour": torch.arange(6) != 2})
    keys = row_keys(batch, ["colour"])
    assert (keys == keys[2]).sum() == 1
    assert int(keys[2]) < 0


def test_labels_of_two_streams_are_not_compared() -> None:
    term = CLIP(out_features=4, positives=["colour"])
    model = model_of(term)
    begun(term, model)
    one, two = batch_of(4), batch_of(4, seed=1)
    colour = torch.cat([one.targets["colour"], two.targets["colour"] + 2])
    joint = Batch.concatenate([one, two])
    told = replace(joint, targets={"colour": colour})
    torch.testing.assert_close(term(view_of(model, one, two)), term(view_of(model, told)))


def test_the_scale_of_clip_begins_as_published_and_stays_in_its_range() -> None:
    term = CLIP(out_features=4)
    assert term.log_scale.item() == pytest.approx(math.log(1 / 0.07))
    with torch.no_grad():
        term.log_scale.fill_(9.0)
    term.after_step(model_of(term), 0.5)
    assert term.log_scale.exp().item() == pytest.approx(100.0)


def test_scale_and_bias_of_siglip_are_trained() -> None:
    term = SigLIP(out_features=4)
    model = model_of(term)
    begun(term, model)
    assert (term.log_scale.exp().item(), term.bias.item()) == pytest.approx((10.0, -10.0))
    grads = torch.autograd.grad(term(view_of(model, batch_of())), list(term.parameters()))
    assert all(grad.abs() > 0 for grad in grads)


def test_cmc_without_a_memory_is_twice_clip_at_its_temperature() -> None:
    """Before the first step nothing is remembered, and both directions are added up."""
    term, clip = CMC(space="clip", out_features=4, memory=6), CLIP(out_features=4)
    model = model_of(clip)
    view = view_of(model, batch_of(6))
    torch.testing.assert_close(begun(term, model)(view), 2 * begun(clip, model)(view))


def test_cmc_compares_with_the_rows_of_the_last_steps() -> None:
    term = CMC(modalities=["audio", "series"], out_features=4, memory=6)
    model = model_of(term)
    begun(term, model)
    first, second = (view_of(model, batch_of(4, seed=seed)) for seed in (0, 1))
    term(first)
    term.after_step(model, 0.1)
    value = term(second)
    z1, z2 = (
        {m: F.normalize(v, dim=1) for m, v in projected(model, v.batches["stream0"], "cmc").items()}
        for v in (first, second)
    )
    expected = torch.zeros(())
    keys = row_keys(first.batches["stream0"]), row_keys(second.batches["stream0"])
    itself = torch.eye(4, dtype=torch.bool)
    right = (keys[1][:, None] == keys[1]) | itself
    for one, other in (("audio", "series"), ("series", "audio")):
        now, before = (z2[one] @ z[other].T / 0.07 for z in (z2, z1))
        before = before.masked_fill(keys[1][:, None] == keys[0], -math.inf)
        log_share = torch.cat([now, before], dim=1).log_softmax(dim=1)[:, :4]
        expected = expected - ((log_share * right).sum(dim=1) / right.sum(dim=1)).mean()
    torch.testing.assert_close(value, expected)


def test_the_memory_of_cmc_forgets_the_oldest_rows() -> None:
    term = CMC(modalities=["audio", "series"], out_features=4, memory=6)
    model = model_of(term)
    begun(term, model)
    vectors = []
    for seed in range(3):
        view = view_of(model, batch_of(4, seed=seed))
        term(view)
        vectors.append(
            F.normalize(projected(model, view.batches["stream0"], "cmc")["audio"], dim=1)
        )
        term.after_step(model, 0.1)
    memory = term.memories["audio"]
    kept = torch.cat(vectors)[-6:]
    order = memory.vectors.sum(dim=1).argsort()  # pyright: ignore
    torch.testing.assert_close(memory.vectors[order], kept[kept.sum(dim=1).argsort()])  # pyright: ignore


def test_a_look_at_the_loss_leaves_the_memory_as_it_is() -> None:
    term = CMC(out_features=4, memory=6)
    model = model_of(term)
    begun(term, model)
    before = {name: tensor.clone() for name, tensor in term.state_dict().items()}
    term(view_of(model, batch_of()))
    assert all(torch.equal(before[name], tensor) for name, tensor in term.state_dict().items())


def test_vicreg_is_that_between_views() -> None:
    term = VICRegModalities(modalities=["audio", "text"], hidden=8, out_features=4)
    model, batch = model_of(term), batch_of()
    z = projected(model, batch, "vicreg_modalities")
    expected = vicreg_loss(z["audio"], z["text"], 25, 25, 1)
    torch.testing.assert_close(begun(term, model)(view_of(model, batch)), expected)


def masked(model: JointModel, view: StepView) -> tuple[MaskedModality, Tensor]:
    term = begun(MaskedModality(hidden=8), model)
    torch.manual_seed(3)
    return term, term(view)


def test_a_guess_without_information_leaves_all_variance_unexplained() -> None:
    model = model_of()
    term = begun(MaskedModality(hidden=8), model)
    with torch.no_grad():
        for parameter in term.predictors.parameters():
            parameter.zero_()
    torch.manual_seed(3)
    assert term(view_of(model, batch_of(64))).item() == pytest.approx(1, abs=0.02)


def test_guesses_do_not_see_what_is_hidden() -> None:
    """A model that sees all but the hidden modality has the same fused features whatever it is."""
    model = model_of()
    seen = []
    model.body.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    masked(model, view_of(model, batch_of(16)))
    batch = seen[0]
    there = torch.stack([batch.present[m] for m in ("audio", "series", "text")])
    assert (there.sum(dim=0) == 2).all()
    assert (~there).any(dim=1).all(), "each modality is hidden somewhere"


def test_rows_with_one_modality_have_none_to_hide() -> None:
    model = model_of()
    lonely = batch_of(4, absent={"series": range(4), "text": range(4)})
    _, value = masked(model, view_of(model, lonely))
    assert value.item() == 0
    mixed = batch_of(12, absent={"series": (0, 1), "text": (0, 1)})
    kept = mixed.select(torch.arange(2, 12))
    one, two = (masked(model, view_of(model, batch))[1] for batch in (mixed, kept))
    torch.testing.assert_close(one, two)


def test_the_teacher_follows_the_model() -> None:
    model = model_of()
    term = begun(MaskedModality(hidden=8, momentum=0.5), model)
    before = [p.clone() for p in term.teacher.parameters()]
    with torch.no_grad():
        for p in model.body.parameters():
            p += 1
    term.after_step(model, 0.0)
    for old, new in zip(before, term.teacher.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.5)
    assert not any(p.requires_grad for p in term.teacher.parameters())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"modalities": ["audio", "txt"]},
            r"terms.clip.modalities: .*no 'txt'. Did you mean 'text'",
        ),
        ({"modalities": ["audio"]}, r"terms.clip.modalities: audio alone"),
        ({"anchor": "txet"}, r"terms.clip.anchor: no 'txet'. Did you mean 'text'"),
        ({"anchor": "text", "modalities": ["audio", "series"]}, r"terms.clip.anchor: no 'text'"),
    ],
)
def test_names_that_are_wrong(keys: dict, message: str) -> None:
    term = CLIP(out_features=4, **keys)
    model = model_of(term)
    with pytest.raises(UserError, match=message):
        term.check(model)


def test_labels_that_are_not_there() -> None:
    term = CLIP(positives=["color"])
    with pytest.raises(UserError, match=r"terms.clip.positives: 'color' .*Did you mean 'colour'"):
        begun(term, model_of(term))


def test_two_terms_share_a_space_of_one_form() -> None:
    one, two = CLIP(space="ours", out_features=4), SigLIP(space="ours", out_features=4)
    assert list(model_of(one, two).spaces) == ["ours"]
    with pytest.raises(UserError, match=r"terms.ours.space: two terms have a space 'ours'"):
        model_of(one, SigLIP(space="ours", out_features=5))


def test_a_model_of_one_modality_has_no_space() -> None:
    term: CrossModal = CLIP(out_features=4)
    model = model_of(term, names=("audio",))
    assert not model.spaces
    assert begun(term, model)(view_of(model, batch_of())).item() == 0


def test_cmc_compares_with_a_copy_that_follows_slowly() -> None:
    term = CMC(space="clip", out_features=4, memory=6, momentum=0.75)
    model = model_of(CLIP(out_features=4))
    begun(term, model)
    view = view_of(model, batch_of(6))
    before = {name: p.clone() for name, p in term.teacher.named_parameters()}
    with torch.no_grad():
        for p in model.parameters():
            p += 0.1
    keys = row_keys(view.batches["stream0"])
    positives = keys[:, None] == keys
    queries = projected(model, view.batches["stream0"], "clip")
    answers = projected(term.teacher.model, view.batches["stream0"], "clip")
    sides = [{m: F.normalize(v, dim=1) for m, v in side.items()} for side in (queries, answers)]
    expected = torch.zeros(())
    for one in queries:
        for other in queries:
            if one != other:
                share = (sides[0][one] @ sides[1][other].T / 0.07).log_softmax(dim=1)
                right = (share * positives).sum(dim=1) / positives.sum(dim=1)
                expected = expected - right.mean() / 3
    torch.testing.assert_close(term(view), expected)
    term.after_step(model, 0.1)
    for name, p in term.teacher.named_parameters():
        torch.testing.assert_close(p, before[name] + 0.025)
