"""Weights are found in whatever a training loop wraps them in."""

from __future__ import annotations

import os
from argparse import Namespace
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from jlrun.errors import UserError
from jlrun.models import checkpoints
from jlrun.models.weight_files import LoadReport, load_weights
from jlrun.models.weight_files.naming import SAME, Roots, align
from tests.toy import toy_model

State = dict[str, Tensor]


def network(width: int = 4) -> nn.Module:
    """A small network with names as ResNets have them."""
    block = nn.ModuleDict({"conv1": nn.Conv2d(width, width, 3), "bn1": nn.BatchNorm2d(width)})
    return nn.ModuleDict(
        {
            "conv1": nn.Conv2d(3, width, 3, bias=False),
            "bn1": nn.BatchNorm2d(width),
            "layer1": nn.ModuleList([block]),
        }
    )


def weights(seed: int, prefix: str = "", width: int = 4) -> State:
    torch.manual_seed(seed)
    return {
        prefix + name: torch.randn_like(t) if t.is_floating_point() else t
        for name, t in network(width).state_dict().items()
    }


def junk(prefix: str) -> State:
    return {prefix + "fc.0.weight": torch.zeros(2, 4), prefix + "fc.0.bias": torch.zeros(2)}


def load(content: object, path: Path, model: nn.Module | None = None) -> LoadReport:
    torch.save(content, path / "file.pth")
    return load_weights(model or network(), path / "file.pth", "here")


WRAPPED: dict[str, object] = {
    "plain": weights(1) | junk(""),
    "state dict": {"epoch": 3, "state_dict": weights(1), "optimizer": {"state": {0: weights(2)}}},
    "model of another name": {"model": weights(1), "args": None},
    "two wrappers": {"model": {"state_dict": weights(1)}},
    "data parallel": weights(1, "module."),
    "compiled": weights(1, "_orig_mod.") | junk("_orig_mod."),
    "Lightning": {"state_dict": weights(1, "model.") | {"criterion.weight": torch.ones(3)}},
    "Barlow Twins": {"model": weights(1, "module.backbone.") | junk("module.projector.")},
    "SwAV": weights(1, "module.") | junk("module.projection_head."),
    "MoCo": {
        "state_dict": weights(1, "module.encoder_q.")
        | junk("module.encoder_q.")
        | weights(2, "module.encoder_k.")
        | {"module.queue": torch.zeros(8, 16)}
    },
    "MoCo v3": {
        "state_dict": weights(1, "module.base_encoder.") | weights(2, "module.momentum_encoder.")
    },
    "DINO": {
        "student": weights(2, "module.backbone.") | junk("module.head."),
        "teacher": weights(1, "backbone.") | junk("head."),
        "epoch": 3,
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]},
    },
    "encoder among others": {
        "encoder": weights(1),
        "decoder": {"conv1.weight": torch.zeros(3, 3), "bn1.weight": torch.zeros(7)},
    },
}


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_wrappers(wrapper: str, tmp_path: Path) -> None:
    model = network()
    report = load(WRAPPED[wrapper], tmp_path, model)
    expected = weights(1)
    assert all(torch.equal(t, expected[name]) for name, t in model.state_dict().items())
    assert set(report.loaded) == set(expected)
    assert not report.missing


def test_what_lies_beside_the_part_that_was_loaded_is_told(tmp_path: Path) -> None:
    report = load(WRAPPED["MoCo"], tmp_path)
    kinds = {skipped.name: skipped.kind for skipped in report.skipped}
    assert kinds["module.encoder_q.fc.0.weight"] == "unknown"
    assert kinds["module.encoder_k.conv1.weight"] == kinds["module.queue"] == "elsewhere"
    assert "note: 'module.encoder_q.…' in the file is '…' in the model" in report.lines()


def test_report_in_words(tmp_path: Path) -> None:
    state = weights(1)
    del state["bn1.bias"]
    state["conv1.weight"] = torch.zeros(4, 1, 3, 3)
    state["stem.weight"] = torch.zeros(1)
    report = load(state, tmp_path)
    assert report.missing == ("conv1.weight", "bn1.bias")
    assert report.lines() == [
        "loaded 11 of 13 tensors: bn1.weight, bn1.running_mean, bn1.running_var, "
        "bn1.num_batches_tracked, layer1.0.conv1.weight, …",
        "skipped 1, not in the model: stem.weight",
        "skipped conv1.weight: (4, 1, 3, 3) in the file, (4, 3, 3, 3) in the model",
        "2 as initialised: conv1.weight, bn1.bias",
    ]


def test_counters_that_old_files_lack_are_not_missed(tmp_path: Path) -> None:
    state = {n: t for n, t in weights(1).items() if not n.endswith("num_batches_tracked")}
    report = load(state, tmp_path)
    assert not report.missing


def test_half_precision_files_fill_single_precision_models(tmp_path: Path) -> None:
    state = {n: t.half() if t.is_floating_point() else t for n, t in weights(1).items()}
    model = network()
    load(state, tmp_path, model)
    assert model.state_dict()["conv1.weight"].dtype == torch.float32
    assert torch.equal(model.state_dict()["conv1.weight"], state["conv1.weight"].float())


def test_an_encoder_loads_into_the_place_it_has_in_a_larger_model(tmp_path: Path) -> None:
    model = nn.ModuleDict({"body": nn.ModuleDict({"image": network()}), "head": nn.Linear(2, 2)})
    report = load(weights(1), tmp_path, model)
    assert torch.equal(model.state_dict()["body.image.conv1.weight"], weights(1)["conv1.weight"])
    assert report.missing == ("head.weight", "head.bias")


@pytest.mark.parametrize("place", ["", "checkpoints/best", "checkpoints/best/model.safetensors"])
def test_runs_of_jlrun(place: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    trained, fresh = toy_model(), toy_model()
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.normal_()
    fresh.heads["largest"] = nn.Linear(6, 9)
    checkpoints.save(tmp_path / "checkpoints/best", trained, {})
    report = load_weights(fresh, tmp_path / place, "init")
    state, expected = fresh.state_dict(), trained.state_dict()
    assert all(torch.equal(state[name], expected[name]) for name in report.loaded)
    assert "body.trunk.encoders.x.layers.0.weight" in report.loaded
    assert "heads.sign.weight" in report.loaded
    assert report.missing == ("heads.largest.weight", "heads.largest.bias")
    assert {(s.name, s.kind, s.target) for s in report.skipped} == {
        (name, "shape", name) for name in report.missing
    }


def test_the_encoder_of_a_run_loads_by_itself(tmp_path: Path) -> None:
    torch.manual_seed(5)
    trained, encoder = toy_model(), toy_model().get_submodule("body.trunk.encoders.x")
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.normal_()
    checkpoints.save(tmp_path, trained, {})
    report = load_weights(encoder, tmp_path, "init")
    assert torch.equal(
        encoder.state_dict()["layers.0.weight"],
        trained.state_dict()["body.trunk.encoders.x.layers.0.weight"],
    )
    assert not report.missing


def test_layers_of_unlike_networks_that_are_called_alike_are_not_taken() -> None:
    """One block of a file has a block's names in the model: that is no reason to load it."""
    file = {f"stages.{i}.conv1.weight": torch.Size([4]) for i in range(6)}
    model = {f"layer{i}.0.conv1.weight": torch.Size([4]) for i in range(6)}
    assert align(file, model) == (SAME, 0)
    assert align(file, {f"net.{name}": shape for name, shape in file.items()}) == (
        Roots("", "net."),
        6,
    )


def test_among_parts_of_equal_names_the_one_of_fitting_shapes_is_taken(tmp_path: Path) -> None:
    model = network()
    content = weights(2, "large.", width=8) | weights(1, "fitting.")
    report = load(content, tmp_path, model)
    assert not report.missing
    assert torch.equal(model.state_dict()["conv1.weight"], weights(1)["conv1.weight"])


def error(content: object, path: Path, model: nn.Module | None = None) -> str:
    with pytest.raises(UserError) as caught:
        load(content, path, model)
    message = str(caught.value)
    assert message.startswith("here: ")
    assert "\n" not in message
    return message


def test_nothing_fits_by_name(tmp_path: Path) -> None:
    before = network()
    state = {name: tensor.clone() for name, tensor in before.state_dict().items()}
    message = error({"a.kernel": torch.zeros(1)}, tmp_path, before)
    assert "they share no names, 'a.kernel' is one of the file's, 'conv1.weight'" in message
    assert all(torch.equal(t, state[name]) for name, t in before.state_dict().items())


def test_nothing_fits_by_shape(tmp_path: Path) -> None:
    message = error({"conv1.weight": torch.zeros(4, 1, 3, 3)}, tmp_path)
    assert "conv1.weight is (4, 1, 3, 3) in the file, (4, 3, 3, 3) in the model" in message


def test_a_counter_alone_is_nothing(tmp_path: Path) -> None:
    error({"bn1.num_batches_tracked": torch.tensor(3), "x.weight": torch.zeros(2)}, tmp_path)


def test_a_model_without_weights(tmp_path: Path) -> None:
    assert "it has no weights" in error({"a": torch.zeros(1)}, tmp_path, nn.Identity())


@pytest.mark.parametrize("content", [[torch.zeros(1)], {}, {"state_dict": {"epoch": 3}}, 3])
def test_files_without_named_tensors(content: object, tmp_path: Path) -> None:
    assert "holds no named tensors" in error(content, tmp_path)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "none.pth", "there is no file"),
        (tmp_path, "the folder .* has none of"),
    ):
        with pytest.raises(UserError, match=message):
            load_weights(network(), path, "here")
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(UserError, match="split over several files"):
        load_weights(network(), tmp_path, "here")


def test_a_config_that_is_no_json_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("not json")
    assert not load(weights(1), tmp_path).missing


def test_checkpoints_that_hold_a_command_line_are_read(tmp_path: Path) -> None:
    """As torchvision's reference scripts and timm save them."""
    args = Namespace(model="resnet18", lr=0.1, device="cuda", resume=None, opt_betas=[0.9, 0.99])
    reference = {
        "model": weights(1),
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]},
        "lr_scheduler": {"last_epoch": 3, "milestones": Counter({30: 1})},
        "epoch": 3,
        "args": args,
    }
    timm = {"epoch": 3, "arch": "resnet18", "state_dict": weights(1), "args": args, "version": 2}
    for content in (reference, timm):
        model = network()
        load(content, tmp_path, model)
        assert torch.equal(model.state_dict()["conv1.weight"], weights(1)["conv1.weight"])


class _Hostile:
    """What a stranger may put into a file: it runs a command when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.canary}",)


class _Disguised(Namespace):
    """A class of one's own that looks like a command line."""


@pytest.mark.parametrize("place", ["beside", "within", "instead"])
def test_no_code_of_a_file_runs(place: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    hostile = _Hostile(canary)
    content: dict[str, object] = {
        "beside": {"model": weights(1), "args": Namespace(lr=0.1), "more": hostile},
        "within": {"model": weights(1), "args": Namespace(lr=hostile)},
        "instead": {"model": weights(1), "args": _Disguised(lr=0.1)},
    }
    assert "code that a file brings is never run" in error(content[place], tmp_path)
    assert not canary.exists()
    assert Namespace not in torch.serialization.get_safe_globals()
