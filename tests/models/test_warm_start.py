"""Weights from elsewhere: what is taken of a run or a file, what is told, what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.data.specs import ImageSpec
from jlrun.engine import Engine
from jlrun.errors import UserError
from jlrun.models import checkpoints
from jlrun.models.encoders import MLP
from jlrun.models.fusions import Single
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.models.lora import add_lora, is_lora_parameter
from jlrun.models.warm_start import PretrainedInit
from jlrun.models.weight_files import load_weights
from jlrun.objective.terms import Term
from jlrun.objective.terms.transfer import L2SP
from jlrun.training.learner import build_learner
from jlrun.training.step import train_step
from tests.toy import CPU, hard_model, toy_batch, toy_model, toy_phase, toy_recipe

SPEC = ImageSpec(1, 4, 4, (), ())


def model(seed: int, hidden: tuple[int, ...] = (6,), classes: int = 3) -> JointModel:
    torch.manual_seed(seed)
    encoder = MLP(SPEC, hidden=list(hidden))
    heads = {
        "digit": Linear(encoder.out_features, classes),
        "parity": Linear(encoder.out_features, 1),
    }
    return hard_model({"image": encoder}, Single({"image": encoder.out_features}), heads)


def run_of(learned: JointModel, folder: Path) -> Path:
    """Write a run's selected weights, as a run does."""
    checkpoints.save(folder / "checkpoints" / "best", learned, {})
    return folder


def adapted_model() -> JointModel:
    """A model whose adapters change its outputs."""
    learned = model(1)
    add_lora(learned, rank=2, alpha=3.0)
    for name, parameter in learned.named_parameters():
        if name.endswith("lora_b"):
            torch.nn.init.normal_(parameter)
    return learned


def copied(of: JointModel) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in of.state_dict().items()}


def start_of(key: str, path: Path) -> PretrainedInit:
    found = PretrainedInit.of({key: str(path)})
    assert found is not None
    return found


def test_of_nothing_there_is_no_start() -> None:
    assert PretrainedInit.of({}) is None


def test_a_model_begins_as_the_run_s_selected_one(tmp_path: Path) -> None:
    learned, new = model(1), model(2)
    start = start_of("run", run_of(learned, tmp_path / "run"))
    assert start.lines() == []
    start(new)
    assert all(torch.equal(t, learned.state_dict()[n]) for n, t in new.state_dict().items())
    assert start.to_json() == {
        "run": str(tmp_path / "run"),
        "loaded": len(new.state_dict()),
        "skipped": {},
        "not_loaded": [],
    }
    assert start.lines()[0] == f"source.run: {tmp_path / 'run'}"


def test_a_head_of_other_classes_stays_as_it_is_and_is_told(tmp_path: Path) -> None:
    learned, new = model(1, classes=5), model(2)
    before = copied(new)
    start = start_of("run", run_of(learned, tmp_path / "run"))
    start(new)
    own = {n for n in before if n.startswith("heads.digit.")}
    for name, tensor in new.state_dict().items():
        expected = before if name in own else learned.state_dict()
        assert torch.equal(tensor, expected[name]), name
    told = start.to_json()
    assert set(told["skipped"]) == set(told["not_loaded"]) == own
    assert any("(5, 6) in the file, (3, 6) in the model" in line for line in start.lines())


def test_another_architecture_takes_what_fits_or_is_refused(tmp_path: Path) -> None:
    run = run_of(model(1, hidden=(6, 6)), tmp_path / "run")
    deeper = model(2, hidden=(6, 6, 6))
    start = start_of("run", run)
    start(deeper)
    added = {
        name
        for name in deeper.state_dict()
        if name.startswith("body.trunk.encoders.image.layers.7")
    }
    assert set(start.to_json()["not_loaded"]) == added
    assert added
    torch.manual_seed(0)
    other = toy_model()
    with pytest.raises(UserError, match=r"source\.run: nothing in .* fits the model"):
        start_of("run", run)(other)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_file_of_weights(tmp_path: Path, suffix: str) -> None:
    from safetensors.torch import save_file

    learned, new, file = model(1), model(2), tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save({"state_dict": learned.state_dict()}, file)
    else:
        save_file(learned.state_dict(), file)
    start = start_of("weights", file)
    start(new)
    assert all(torch.equal(t, learned.state_dict()[n]) for n, t in new.state_dict().items())
    assert start.to_json()["weights"] == str(file)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    cases = [
        ("run", tmp_path / "nowhere", r"source\.run: .*nowhere' does not exist; name a completed"),
        ("run", tmp_path, r"source\.run: .* has no selected weights yet"),
        ("weights", tmp_path / "nowhere.pt", r"source\.weights: there is no file .*nowhere\.pt"),
    ]
    for key, path, message in cases:
        with pytest.raises(UserError, match=message):
            start_of(key, path)(model(0))


def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.pt").write_text("not weights")
    with pytest.raises(UserError, match=r"notes\.pt' can't be read .*: torch\.save wrote no such"):
        start_of("weights", tmp_path / "notes.pt")(model(0))
    torch.save(model(0).heads, tmp_path / "module.pt")
    with pytest.raises(UserError) as told:
        start_of("weights", tmp_path / "module.pt")(model(0))
    assert "it holds a torch.nn.modules.container.ModuleDict" in str(told.value)
    assert "model.state_dict()" in str(told.value)
    assert str(told.value).isprintable(), "no escapes of a terminal"


def test_adapters_of_a_run_are_told_where_the_model_has_none(tmp_path: Path) -> None:
    learned = model(1)
    add_lora(learned, rank=2)
    start = start_of("run", run_of(learned, tmp_path / "run"))
    start(model(2))
    assert any("adapters" in line for line in start.lines())
    assert set(start.to_json()["skipped"]) == {
        n for n in learned.state_dict() if is_lora_parameter(n)
    }


@pytest.mark.parametrize("path", ["run", "run/checkpoints/best", "best"])
def test_adapters_of_a_run_are_folded_into_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """As the run predicts, by a path from the folder above the run or from its checkpoints."""
    learned, new = adapted_model(), model(2)
    (run_of(learned, tmp_path / "run") / "config.yaml").write_text(
        "finetune: {_target_: jlrun.strategies.finetuning.LoRA, rank: 2, alpha: 3.0}\n"
    )
    monkeypatch.chdir(tmp_path / ("run/checkpoints" if path == "best" else "."))
    start = start_of("run" if path == "run" else "weights", Path(path))
    start(new)
    batch = Batch({"image": torch.rand(5, 1, 4, 4)}, {})
    ours, theirs = (m.eval()(batch, ["digit"]).logits["digit"] for m in (new, learned))
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    assert start.to_json()["skipped"] == {}
    assert "note: low-rank adapters of 1 weights are folded into them" in start.lines()


def test_adapters_of_attention_are_folded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    learned, new = (nn.ModuleDict({"body": nn.MultiheadAttention(4, 2)}) for _ in range(2))
    add_lora(learned, rank=2, alpha=3.0)
    nn.init.normal_(learned["body"].lora_b)
    nn.init.normal_(learned["body"].out_proj.lora_b)
    checkpoints.save(tmp_path / "checkpoints" / "best", learned, {})
    (tmp_path / "config.yaml").write_text("finetune: {rank: 2, alpha: 3.0}\n")
    load_weights(new, tmp_path, "source.run")
    x = torch.randn(3, 1, 4)
    ours, theirs = (m["body"].eval()(x, x, x)[0] for m in (new, learned))
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_relative_paths_of_few_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned, new = model(1), model(2)
    best = run_of(learned, tmp_path / "run") / "checkpoints" / "best"
    (tmp_path / "own").mkdir()
    shutil.copy(best / "model.safetensors", tmp_path / "own")
    for folder, path in ((tmp_path, "own"), (tmp_path / "own", "model.safetensors"), (best, ".")):
        monkeypatch.chdir(folder)
        start_of("weights", Path(path))(new)
        assert all(torch.equal(t, learned.state_dict()[n]) for n, t in new.state_dict().items())


def test_heads_without_the_body_that_they_read_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    heads = {n: t for n, t in model(1).state_dict().items() if n.startswith("heads.")}
    save_file(heads, tmp_path / "heads.safetensors")
    with pytest.raises(UserError, match=r"source\.weights: of .* only heads\..* nothing of the"):
        start_of("weights", tmp_path / "heads.safetensors")(model(2))


@pytest.mark.parametrize("learned", [True, False])
def test_l2_sp_acts_where_weights_were_learned_and_nowhere_else(learned: bool) -> None:
    """R = ½ Σ 0.1² of a body that has moved by 0.1, and ½ ‖w‖² of its heads."""
    terms: dict[str, Term] = {"l2_sp": L2SP()}
    phase = replace(toy_phase(recipe=toy_recipe(terms=lambda: terms)), learned=learned)
    new = toy_model(dropout=0.0)
    learner = build_learner(new, phase, Engine(CPU))
    assert ("l2_sp" in learner.terms) == learned
    with torch.no_grad():
        for parameter in new.parameters():
            parameter += 0.1
        heads = sum(p.square().sum() for p in new.heads.parameters()) / 2
        body = sum(p.numel() for p in new.body.parameters()) * 0.1**2 / 2
    stats = train_step(learner, phase, {"dataset": toy_batch()}, Engine(CPU), 0)
    expected = torch.tensor([float(heads + body)] if learned else [])
    torch.testing.assert_close(stats.term_losses, expected)
