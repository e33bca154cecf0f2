"""``jlrun export`` on real runs: other libraries and other runs load what it writes."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision import models

from jlrun.cli.main import main
from jlrun.data.specs import ImageSpec
from jlrun.models.encoders import Torchvision
from jlrun.models.lora import merge_lora
from jlrun.models.weight_files import load_weights
from jlrun.runs import fingerprints
from jlrun.runs.exporting import Export, loading_code, readme
from jlrun.runs.exporting.contents import describe_network
from jlrun.runs.saved_model import load_teacher

QUICK = [
    *("engine.threads=1", "recorder.figures=false", "recorder.tensorboard=false"),
    *("recorder.progress=none", "baselines=false", "epochs=1"),
]
SMALL = ["backbone.image.channels=[4,8]", "backbone.image.hidden=16"]
TRANSFER = ["mode=transfer", "source.per_class=8", "pretrain_epochs=1", *QUICK]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "run"
    what = ["backbone/image=resnet18", "finetune=lora", f"hydra.run.dir={folder}"]
    assert main([*TRANSFER, *what]) == 0
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "run"
    assert main([*TRANSFER, *SMALL, f"hydra.run.dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def model(run: Path) -> Path:
    folder = run.parent / "model"
    assert main(["export", str(run), "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def encoder(run: Path) -> Path:
    folder = run.parent / "encoder"
    assert main(["export", str(run), "--output", str(folder), "--encoder", "image"]) == 0
    return folder


def description(folder: Path) -> dict:
    return json.loads((folder / "model.json").read_text())


def test_adapters_are_folded_into_the_weights(run: Path, model: Path) -> None:
    own = load_file(run / "checkpoints" / "best" / "model.safetensors")
    found = load_file(model / "model.safetensors")
    names = {n.removesuffix(".lora_a") for n in own if n.endswith(".lora_a")}
    assert set(found) == {n for n in own if "lora" not in n}
    assert set(description(model)["merged_adapters"]) == {f"{name}.weight" for name in names}
    for name in names:  # W + (α / r) B A, eq. (3) of Hu et al., 2022, in float64; α = 32, r = 16
        w, a, b = (own[f"{name}.{key}"].double() for key in ("weight", "lora_a", "lora_b"))
        expected = w + (2.0 * b @ a).view_as(w)
        torch.testing.assert_close(found[f"{name}.weight"].double(), expected, rtol=0, atol=1e-6)
    assert any(own[f"{name}.lora_b"].any() for name in names)


def test_the_description_says_what_it_takes_and_yields(model: Path) -> None:
    told = description(model)
    assert told["heads"]["digit"]["classes"] == [str(i) for i in range(10)]
    assert len(told["modalities"]["image"]["mean"]) == 1
    assert told["run"]["selected"]["phase"] == "finetune"
    text = (model / "README.md").read_text()
    assert "1 × 8 × 8" in text
    assert "binary, even, odd" in text
    assert "adapters are folded" in text
    inputs = json.loads((model / "preprocessing.json").read_text())["inputs"]
    assert inputs["image"]["before"][-1] == "minus spec.mean, divided by spec.std"


def test_the_model_card_states_data_scores_and_limits(run: Path, model: Path) -> None:
    card = (model / "MODEL_CARD.md").read_text()
    result = json.loads((run / "result.json").read_text())
    titles = re.findall("^## (.*)$", card, re.MULTILINE)
    assert titles == ["Data", "Scores", "Calibration", "Training", "Limits"]
    low, high = result["intervals"]["test"]["digit"]["accuracy"]
    score = result["test"]["digit"]["accuracy"]
    assert f"| digit | accuracy | {score:.3f} | {low:.3f} to {high:.3f} |" in card
    assert fingerprints.digests(fingerprints.read(run) or {})["target"] in card
    assert "jlrun mode=transfer source.per_class=8" in card
    assert "One training with seed 0" in card
    assert "Nothing was trained to compare with" in card
    assert str(run.parent) not in card


def test_torchvision_loads_the_encoder_and_computes_the_same(run: Path, encoder: Path) -> None:
    told = description(encoder)
    code = loading_code(told["network"])
    assert code in (encoder / "README.md").read_text()
    scope: dict = {}
    exec(code.replace('"model.safetensors"', repr(str(encoder / "model.safetensors"))), scope)
    assert set(scope["found"].missing_keys) == {"fc.weight", "fc.bias"}
    assert scope["found"].unexpected_keys == []
    network = scope["network"].eval()
    network.fc = nn.Identity()
    pixels = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(told["input"][key])[:, None, None] for key in ("mean", "std"))
    teacher = load_teacher(run, torch.device("cpu"))
    spec = teacher.specs["image"]
    assert isinstance(spec, ImageSpec)
    ours = teacher.model.get_submodule("body.trunk.encoders.image")
    with torch.no_grad():
        expected = ours((pixels - spec.mean[0]) / spec.std[0])
        found = network((pixels.expand(-1, 3, -1, -1) - mean) / std)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert expected.shape == (3, told["out_features"])


def test_inputs_of_pretrained_weights_are_told_as_the_network_knows_them(tmp_path: Path) -> None:
    plain = models.resnet18(weights=None).eval()
    save_file(plain.state_dict(), tmp_path / "weights.safetensors")
    spec = ImageSpec(3, 16, 16, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    wrapped = Torchvision(spec, "resnet18", str(tmp_path / "weights.safetensors")).eval()
    told = describe_network(wrapped, spec, {"name": "resnet18"})
    # the published mean and std of ImageNet
    assert told["input"]["mean"] == pytest.approx([0.485, 0.456, 0.406], abs=1e-6)
    assert told["input"]["std"] == pytest.approx([0.229, 0.224, 0.225], abs=1e-6)
    assert told["input"]["normalisation"] == "pretraining"
    assert not told["network"]["small_stem"]
    run = {"name": "a", "mode": "transfer", "seed": 0, "selected": None}
    told |= {"kind": "encoder", "jlrun": "1", "run": run, "merged_adapters": []}
    export = Export(plain.state_dict(), {"modality": "image", "out_features": 512, **told})
    assert "backbone.image.weights=FOLDER" in readme(export)
    assert "(0.485, 0.456, 0.406)" in readme(export)


def test_another_run_begins_with_an_export(small: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    assert main(["export", str(small), "--output", str(file), "--checkpoint", "last"]) == 0
    with safe_open(file, "pt") as opened:
        assert json.loads(opened.metadata()["jlrun"])["run"]["checkpoint"] == "last"
        num_tensors = len(list(opened.keys()))
    folder = tmp_path / "run"
    what = [*SMALL, f"source.weights={file}", f"hydra.run.dir={folder}"]
    assert main(["mode=transfer", *QUICK, *what]) == 0
    start = json.loads((folder / "result.json").read_text())["start"]
    assert (start["loaded"], start["skipped"], start["not_loaded"]) == (num_tensors, {}, [])


def test_an_encoder_finds_its_place_in_a_whole_model(run: Path, encoder: Path) -> None:
    model = load_teacher(run, torch.device("cpu")).model
    merge_lora(model)
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    network = model.get_submodule("body.trunk.encoders.image.network")
    for tensor in network.state_dict().values():
        tensor.zero_()
    report = load_weights(model, encoder, "source.weights")
    assert report.skipped == ()
    assert all("network" not in name for name in report.missing)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_nothing_is_overwritten_unasked(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, file = tmp_path / "out", tmp_path / "out.safetensors"
    for output in (folder, file):
        arguments = ["export", str(small), "--encoder", "image", "--output", str(output)]
        assert main(arguments) == 0
        assert main(arguments) == 2
        assert "--force replaces it" in capsys.readouterr().err
        assert main([*arguments, "--force"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        *("MODEL_CARD.md", "README.md", "model.json", "model.safetensors")
    ]
    (folder / "notes.txt").write_text("mine")
    assert main(["export", str(small), "--output", str(folder), "--force"]) == 2
    assert "holds other files (notes.txt)" in capsys.readouterr().err
    assert (folder / "notes.txt").read_text() == "mine"
    names = ["out", "out.MODEL_CARD.md", "out.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "a.pth"], "neither a folder nor a .safetensors file"),
        (["--output", "a", "--encoder", "imag"], "there is no 'imag'. Did you mean 'image'?"),
        (["--output", "a", "--encoder", "digit/image"], "Write image alone"),
        (["--output", "a", "--checkpoint", "first"], "invalid choice: 'first'"),
        (["--output", "a.onnx", "--format", "onnx"], "'a.onnx': name a folder"),
        (["--output", "a", "--format", "onx"], "invalid choice: 'onx'"),
        (["--output", "a", "--format", "onnx", "--encoder", "image"], "--format safetensors"),
        (["--output", "a", "--calibrated"], "weights yield logits"),
        ([], "--output"),
    ],
)
def test_what_can_be_wrong(
    small: Path,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(small), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("library", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_library_names_the_extra(
    small: Path,
    tmp_path: Path,
    library: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None if name == library else ModuleType(name))
    out = tmp_path / "out"
    assert main(["export", str(small), "--format", "onnx", "--output", str(out)]) == 2
    assert f"needs {library}, which is not installed here" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_encoders_of_tasks_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    what = ["mode=multitask", "sharing=cross_stitch", "backbone/image=mlp", "dataset.limit=128"]
    assert main([*what, *QUICK, f"hydra.run.dir={run}"]) == 0
    assert main(["export", str(run), "--encoder", "image", "--output", str(out)]) == 2
    assert "choose from: digit/image, parity/image" in capsys.readouterr().err
    assert main(["export", str(run), "--encoder", "parity/image", "--output", str(out)]) == 0
    assert "CrossStitch changes what passes" in capsys.readouterr().out
    own = load_file(run / "checkpoints" / "best" / "model.safetensors")
    for name, tensor in load_file(out / "model.safetensors").items():
        assert torch.equal(tensor, own[f"body.trunks.parity.encoders.image.{name}"])
