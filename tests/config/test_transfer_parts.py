"""What transfer must fit together: strategies, sources, weights, ways of fine-tuning."""

from __future__ import annotations

from typing import Any

import pytest

from jlrun.config import checked
from jlrun.config.nodes import data_nodes, learned_start, used_nodes
from jlrun.errors import UserError

TWO = "sources=[mnist,usps]"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["source.run=a", "source.weights=b"], "source: run and weights are both set"),
        (["strategy=adapt", "source.run=a"], "source.run: strategy=adapt also needs a source's da"),
        (["strategy=joint", "source.weights=a"], "source.weights: strategy=joint also needs a sou"),
        (["strategy=generalize", "source.run=a"], "source.run: strategy=generalize also needs a"),
        (["pretrain_epochs=0"], "pretrain_epochs: 0 leaves nothing to fine-tune; use 1 or more"),
        (["source_weights={usps: 2}"], "source_weights: no source 'usps'. There is one source alo"),
        ([TWO, "source_weights={ups: 2}"], "source_weights: no source 'ups'. Did you mean 'usps'?"),
        ([TWO, "source_weights={usps: -1}"], "source_weights.usps: -1"),
        ([TWO, "dataset@source=digits"], "source: mode=transfer takes sources.mnist and sources.u"),
        (["strategy=joint", "lambda_=0"], "lambda_: 0 leaves strategy=joint without the target"),
        (["finetune.body_lr=0", "finetune.head_lr=0"], "finetune: body_lr and head_lr are both 0"),
        (["finetune=lora", "finetune.rank=0"], "finetune.rank: 0 is too small: at least 1"),
        (["finetune=lora", "finetune.dropout=1"], "finetune.dropout: 1 is too large"),
        (["finetune.layer_decay=0"], "finetune.layer_decay: 0 is too small"),
        (["finetune.batch_norm=frozen"], "finetune.batch_norm: there is no choice 'frozen'"),
        (["finetune=lp_ft", "finetune.probe_share=1"], "finetune.probe_share: 1 is too large"),
        (["finetune=head", "finetune.rank=2"], "'rank'; finetune=lora does"),
        (
            ["strategy=adapt", "adapt.batch_norm=separate"],
            "adapt.batch_norm: there is no choice 'separate'",
        ),
        (["strategy=adapt", "validator=devv"], "validator: there is no option 'devv'. Did you mea"),
        (["ema=1"], "ema: 1 is too large"),
        (["lambda_ramp=sine"], "lambda_ramp: there is no choice 'sine'"),
        (["pretraining.epochs=-1"], "pretraining.epochs: -1 is too small"),
        (["pretraining.views.flip=2"], "pretraining.views.flip: 2 is too large"),
        (["pretraining.data=target"], "pretraining.data"),
        (["sources=[mnst]"], "sources.mnst: there is no option 'mnst'. Did you mean 'mnist'"),
        ([TWO, "sources.mnist.limt=3"], "sources.mnist.limt: there is no key 'limt'. Did you mean"),
    ],
)
def test_what_does_not_fit_is_told(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        checked(["mode=transfer", *overrides])
    assert message in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ["source.run=outputs/a"],
        ["source.weights=a.pt", "target.shots=2"],
        ["source.run=outputs/a", "pretrain_epochs=0"],
        ["strategy=joint", "source.run=outputs/a", TWO],
        ["strategy=adapt", TWO, "source_weights={usps: 0.5}", "validator=dev"],
        ["strategy=generalize", TWO, "terms=[irm]"],
        ["strategy=adapt", "pretrain_epochs=0", "terms=[dann,mcc]"],
        ["finetune=lora", "finetune.parameters=convolutions"],
        ["finetune.body_lr=0", "finetune.head_lr=0.1"],
        ["terms=[simclr]", "pretraining.data=[source,target]", "ema=0.999", "lambda_ramp=cosine"],
    ],
)
def test_what_fits_is_left_alone(overrides: list[str]) -> None:
    checked(["mode=transfer", *overrides])


def config_of(*overrides: str) -> dict[str, Any]:
    return dict(checked(["mode=transfer", *overrides]).config)


def test_sources_take_the_place_of_the_source() -> None:
    config = config_of(TWO, "sources.usps.limit=9")
    assert list(data_nodes(config)) == ["target", "sources.mnist", "sources.usps"]
    assert config["sources"]["usps"]["limit"] == 9
    assert list(used_nodes(config)) == list(data_nodes(config))


@pytest.mark.parametrize("key", ["run", "weights"])
def test_weights_from_elsewhere_take_the_place_of_the_source_s_data(key: str) -> None:
    config = config_of(f"source.{key}=there")
    assert learned_start(config) == {key: "there"}
    assert list(data_nodes(config)) == ["target"]
    assert learned_start(config_of()) == {}
    both = config_of("strategy=joint", f"source.{key}=there", TWO)
    assert learned_start(both) == {key: "there"}
    assert list(data_nodes(both)) == ["target", "sources.mnist", "sources.usps"]
