"""Which rows of a target are looked at, and what targets are refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.view import View
from jlrun.errors import UserError
from jlrun.runs.ranking.candidates import Candidate, each_candidate
from jlrun.runs.ranking.embedding import embed
from jlrun.runs.ranking.sources import Backbone, Sources, attributed_to, find_sources
from jlrun.runs.ranking.target import Target, load_targets
from jlrun.runs.ranking.target_config import compose_target
from jlrun.runs.settings import RunSettings

CPU = ["engine.device=cpu", "engine.threads=1"]


def settings_of(*overrides: str) -> RunSettings:
    return RunSettings.parse(compose_target([*overrides, *CPU]).config)


def target_of(*overrides: str) -> Target:
    (target,) = load_targets(settings_of(*overrides))
    return target


def untrained(target: Target, settings: RunSettings) -> Candidate:
    """An untrained ResNet-18, alone."""
    fresh = Backbone("fresh", "resnet18", weights=None, resize=None)
    return next(each_candidate(Sources((), (fresh,)), target, settings))


def test_a_data_set_is_enough_and_transfer_has_its_target() -> None:
    assert compose_target(["dataset=digits"]).config["mode"] == "multitask"
    assert compose_target(["dataset.limit=9", "dataset=digits_dtmf"]).config["fusion"]["_target_"]
    assert target_of("mode=transfer", "dataset@target=digits", "target.shots=3").where == "target"
    few = "datasets.printed_digits.per_class=10"
    several = load_targets(settings_of("datasets=[digits,printed_digits]", few))
    names = [task.name for target in several for task in target.tasks]
    assert names == [f"{d}.{t}" for d in ("digits", "printed_digits") for t in ("digit", "parity")]


def test_only_training_rows_are_read_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of("dataset=digits", "dataset.shots=3", "engine.evaluation_batch=7")
    (target,) = load_targets(settings)
    fetched: list[Tensor] = []
    fetch = View.fetch

    def spy(self: View, rows: Tensor) -> Batch:
        fetched.append(self.indices[rows])
        return fetch(self, rows)

    monkeypatch.setattr(View, "fetch", spy)
    candidate = untrained(target, settings)
    seen = embed(candidate, target)
    assert isinstance(target.rows, View)
    assert torch.cat(fetched).tolist() == target.rows.indices.tolist()
    assert seen.features.shape == (30, 512)
    # The same rows by hand: normalised pixels, without a stream.
    spec = target.specs["image"]
    pixels = fetch(target.rows, torch.arange(30)).inputs["image"].float() / 255
    pixels = (pixels - spec.mean[0]) / spec.std[0]  # pyright: ignore[reportAttributeAccessIssue]
    with torch.no_grad():
        expected = candidate.model.body(Batch({"image": pixels}), ()).fused
    torch.testing.assert_close(torch.from_numpy(seen.features), expected, rtol=1e-4, atol=1e-5)
    assert target.column(target.tasks[0]).tolist() == target.rows.targets["digit"].tolist()


def test_rows_without_a_label_are_left_out() -> None:
    target = target_of("dataset=digits", "dataset.shots=2")
    mask = torch.arange(20) % 4 > 0
    target.rows.labelled["digit"] = mask  # pyright: ignore[reportIndexIssue]
    digit, parity = target.tasks
    assert target.labelled(digit).tolist() == mask.tolist()
    assert (len(target.column(digit)), len(target.column(parity))) == (15, 20)


def test_features_that_are_no_numbers_are_the_candidates_fault() -> None:
    settings = settings_of("dataset=digits", "dataset.shots=2")
    (target,) = load_targets(settings)
    candidate = untrained(target, settings)
    next(candidate.model.parameters()).data.fill_(float("nan"))
    with pytest.raises(UserError, match="fresh: its features of the target's rows are not all"):
        embed(candidate, target)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["dataset=digits", "dataset.shots=1"], "dataset.tasks.digit: 10 training rows of 10 clas"),
        (["dataset=digits", "dataset.classes=[3]"], "at least two classes are needed, found: 3"),
        (["dataset=digits", "dataset.limit=1"], "1 labelled training rows are too few"),
        (
            ["dataset=digits", "dataset.classes=[1,3]", "tasks=[parity]"],
            "dataset.tasks.parity: all 234 training rows have the same class: two are needed",
        ),
        (["dataset=digits", "tasks=[digti]"], "Did you mean 'digit'"),
        (["dataset=digits", "modalities=[audio]"], "modalities"),
    ],
)
def test_targets_that_say_nothing_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        target_of(*overrides)
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1


def test_all_that_is_wrong_with_sources_is_told_at_once() -> None:
    with pytest.raises(UserError) as caught:
        find_sources(["nowhere", "nowhere"], ["resnt18:x.pth"], resize=0)
    told = str(caught.value).splitlines()
    assert told[:3] == [
        "--resize: 0 is too small: at least 1 pixel",
        "--runs: names 'nowhere' twice",
        "nowhere: there is no run here: config.yaml is missing",
    ]
    assert told[3].startswith("--backbones resnt18:x.pth: 'resnt18' is not a torchvision")


def test_errors_name_the_candidate_in_place_of_the_config() -> None:
    for where, expected in (
        ("backbone.image.name", "a: m"),
        ("image", "a: image: m"),
        ("a", "a: m"),
    ):
        with pytest.raises(UserError) as caught, attributed_to("a"):
            raise UserError.of(where, "m")
        assert str(caught.value) == expected
