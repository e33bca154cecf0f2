"""Several data sets in one config: the short form, the names of tasks, and what is told."""

from __future__ import annotations

from typing import Any

import pytest

from jlrun.config import checked
from jlrun.config.nodes import data_nodes, task_labels, used_nodes
from jlrun.config.parsing import expand_datasets
from jlrun.errors import UserError
from jlrun.runs.sweeps.variants import checked_variants

TWO = ["mode=multitask", "datasets=[mnist,fashion_mnist]"]


@pytest.mark.parametrize("text", ["datasets=[mnist,usps]", "+datasets=[ mnist, usps ]"])
def test_the_short_form_stands_for_hydras_own(text: str) -> None:
    own = ["~dataset", "+dataset@datasets.mnist=mnist", "+dataset@datasets.usps=usps"]
    assert expand_datasets(["a=1", text]) == ["a=1", *own]
    assert expand_datasets(own) == own


def test_one_data_set_needs_no_brackets() -> None:
    assert expand_datasets(["datasets=usps"]) == ["~dataset", "+dataset@datasets.usps=usps"]


def test_both_forms_compose_the_same() -> None:
    long = ["~dataset", *(f"+dataset@datasets.{name}={name}" for name in ("mnist", "usps"))]
    short = checked(["mode=multitask", "datasets=[mnist,usps]", "datasets.usps.limit=9"])
    assert short.config == checked(["mode=multitask", *long, "datasets.usps.limit=9"]).config
    assert short.overrides[1] == "datasets=[mnist,usps]"
    assert "dataset" not in short.config


def test_values_of_each_and_a_sweep_over_choices() -> None:
    jobs = checked_variants(["mode=multitask", "datasets=[mnist,usps],[usps,svhn]", "seed=0,1"])
    assert [list(job.config["datasets"]) for job in jobs] == [
        ["mnist", "usps"],
        ["usps", "svhn"],
        ["mnist", "usps"],
    ]


def test_a_task_is_called_after_its_data_set_and_column() -> None:
    config = checked(TWO).config
    labels = {path: task_labels(path, node) for path, node in data_nodes(config).items()}
    assert labels == {
        "datasets.mnist": {"digit": "mnist.digit", "parity": "mnist.parity"},
        "datasets.fashion_mnist": {"label": "fashion_mnist"},
    }
    assert task_labels("dataset", {"tasks": {"digit": {}}}) == {"digit": "digit"}


def test_data_sets_without_a_task_that_was_asked_for_are_not_used() -> None:
    config = checked([*TWO, "tasks=[fashion_mnist]"]).config
    assert list(used_nodes(config)) == ["datasets.fashion_mnist"]
    # Their modalities do not matter either.
    checked(["mode=multitask", "datasets=[mnist,fsdd]", "tasks=[mnist.digit]"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["datasets=[mnst,usps]"], "dataset@datasets.mnst: there is no option 'mnst'. Did you mea"),
        (["datasets=[usps]", "datasets.ups.limit=3"], "datasets.ups.limit: there is no key 'ups'."),
        (["datasets=[usps]", "datasets.usps.limt=3"], "datasets.usps.limt: there is no key 'limt'"),
        (["datasets=[usps]", "datasets.usps.limit=0"], "datasets.usps.limit: 0 is too small: at l"),
        (["datasets=[usps]", "dataset=digits"], "mode=multitask takes datasets.usps instead; ~dat"),
        (["+dataset@datasets.usps=usps"], "dataset: mode=multitask takes datasets.usps instead; ~"),
        (["datasets=[usps,usps]"], "+dataset@datasets.usps: given 2 times"),
        (["datasets={a:3}"], "datasets.a: 3 is not a group of keys"),
        (["datasets=[]"], "datasets: there is a list where a group of keys is needed"),
        (["datasets=[mnist,fsdd]"], "datasets: they share no modality: they have image and audio"),
        (["datasets=[mnist,usps]", "tasks=[mnist.digt]"], "no task 'mnist.digt'. Did you mean 'mn"),
        (["datasets=[mnist,usps]", "tasks=[digit]"], "tasks: the data sets have no task 'digit'."),
        (
            ["datasets=[mnist]", "datasets.mnist.tasks.digit.label_smoothing=2"],
            "label_smoothing: 2",
        ),
        (["sampling=proportinal"], "sampling: there is no option 'proportinal'. Did you mean 'pro"),
        (
            ["sampling.temperature=3"],
            "takes no 'temperature'|does not take 'temperature'; sampling",
        ),
        (["sampling=temperature", "sampling.temperature=0"], "sampling.temperature: 0 is too smal"),
        (
            [*TWO[1:], "sampling=uniform", "weighting=pcgrad", "weighting.update_every=2"],
            "weighting.update_every: the next steps have other tasks than the weights; use 1, or",
        ),
        (["mode=multimodal", "datasets=[digits_dtmf]"], "datasets: only mode=multitask takes seve"),
        (["mode=transfer", "datasets=[mnist,usps]"], "datasets: only mode=multitask takes several"),
        (
            ["mode=transfer", "datasets.mnist.limit=3"],
            "only mode=multitask takes several data sets",
        ),
        (
            ["mode=transfer", "sampling=uniform"],
            "sampling: only mode=multitask has it, and this is",
        ),
    ],
)
def test_what_is_wrong_is_told(overrides: list[str], message: str) -> None:
    mode: list[Any] = [] if any(text.startswith("mode=") for text in overrides) else TWO[:1]
    with pytest.raises(UserError) as caught:
        checked([*mode, *overrides])
    assert any(part in str(caught.value) for part in message.split("|")), str(caught.value)


def test_one_stream_in_each_step_needs_nothing_more_where_there_is_one_data_set() -> None:
    checked([*TWO[:1], "sampling=uniform", "weighting=pcgrad", "weighting.update_every=2"])
