"""Wrong invocations give one clear line or block and exit code 2, before anything is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jlrun.cli.main import main
from jlrun.config.trust import VARIABLE

Capture = pytest.CaptureFixture[str]

OWN_DATA = """
import torch
from jlrun.data.dataset import Dataset
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec

def load(highest: int) -> Dataset:
    images = torch.zeros(60, 1, 8, 8, dtype=torch.uint8)
    rows = TensorRows({"image": images}, {"digit": torch.arange(60) % (highest + 1)})
    return Dataset(rows, {"image": ImageSpec(1, 8, 8, (), ())}, {"digit": tuple("0123456789")})
"""

OWN_YAML = """
defaults: [_subset, _self_]
_target_: wrong_data.load
highest: 12
tasks: {digit: {_target_: jlrun.tasks.Multiclass}}
modalities: [image]
"""

MULTITASK = ["mode=multitask", "dataset=digits"]
FOLDER = ["mode=multitask", "dataset=imagefolder", "batch_size=4"]

# name: arguments, and what the message holds
NAMES: dict[str, tuple[list[str], list[str]]] = {
    "key": (["moed=transfer"], ["moed", "Did you mean 'mode'?"]),
    "mode": (["mode=trasnfer"], ["mode", "'trasnfer'", "Did you mean 'transfer'?"]),
    "group": (["optimiser=sgd"], ["optimiser", "Did you mean 'optimizer'?"]),
    "group with parts": (["backbone=cnn"], ["backbone/image"]),
    "option": (["backbone/image=resnet19"], ["'resnet19'", "Did you mean 'resnet1"]),
    "nested key": (["optimizer.lrr=1"], ["optimizer.lrr", "Did you mean 'lr'?"]),
    "key without its section": (["lr=0.1"], ["Did you mean 'optimizer.lr'?"]),
    "term": (["mode=multitask", "terms=[l3]"], ["terms", "'l3'", "l1", "l2"]),
    "experiment": (["experiment=smok"], ["experiment", "Did you mean 'smoke'?"]),
    "mode of a data set": (["dataset=digits"], ["dataset@source", "dataset@target"]),
    "verb": (["evalute", "x"], ["evalute", "Did you mean 'jlrun evaluate'?"]),
    "option of the command": (["--mulitrun"], ["--mulitrun", "Did you mean '--multirun'?"]),
    "no value": (["epochs"], ["epochs", "KEY=VALUE"]),
    "syntax": (["tasks=[digit"], ["tasks=[digit", "cannot be read"]),
    "jobs without multirun": (["sweep.jobs=2"], ["sweep.jobs", "add --multirun"]),
    "sweep without multirun": (["seed=0,1"], ["seed", "--multirun"]),
    "group of ls": (["ls", "fusin"], ["Did you mean 'fusion'?"]),
    "several": (["mode=multitsk", "fusion=gatd"], ["2 problems", "'multitask'", "'gated'"]),
}

VALUES: dict[str, tuple[list[str], list[str]]] = {
    "task": ([*MULTITASK, "tasks=[digt]"], ["tasks", "'digt'", "Did you mean 'digit'?"]),
    "fraction for a count": ([*MULTITASK, "epochs=1.5"], ["epochs", "1.5", "whole number"]),
    "text for a number": ([*MULTITASK, "optimizer.lr=abc"], ["optimizer.lr", "'abc'", "number"]),
    "number for a flag": ([*MULTITASK, "baselines=2"], ["baselines", "true or false"]),
    "range": ([*MULTITASK, "seed=-1", "batch_size=0"], ["seed: -1", "batch_size: 0", "at least 1"]),
    "learning rate": ([*MULTITASK, "optimizer.lr=-0.1"], ["optimizer", "learning rate"]),
    "choice": ([*MULTITASK, "engine.precision=fp8"], ["engine.precision", "fp32, bf16, fp16"]),
    "device": ([*MULTITASK, "engine.device=gpu"], ["engine.device", "cuda:N"]),
    "shots": ([*MULTITASK, "dataset.shots=few"], ["dataset.shots", "'few'", "whole number"]),
    "fusion of one": ([*MULTITASK, "fusion=gated"], ["fusion", "one modality", "fusion=none"]),
    "multimodal of one": (["mode=multimodal", "dataset=digits"], ["mode", "two modalities"]),
    "class": ([*MULTITASK, "heads._target_=jlrun.models.heads.Linaer"], ["Linaer", "Did you mean"]),
    "untrusted": ([*MULTITASK, "heads._target_=os.system"], ["heads._target_", "'os.system'"]),
    "alias": ([*MULTITASK, "heads._target_=torch.os.system"], ["lies in 'os'", "not in a trusted"]),
    "own class without trust": ([*MULTITASK, "heads._target_=my.Head"], ["--trust my"]),
    "sweep": (["-m", *MULTITASK, "epochs=1,x"], ["epochs", "'x' is not a whole number"]),
}

INPUT: dict[str, tuple[list[str], list[str]]] = {
    "missing folder": ([*FOLDER, "data_root=nowhere"], ["nowhere", "no such folder"]),
    "empty folder": ([*FOLDER, "data_root=empty"], ["empty", "<class>"]),
    "corrupt image": ([*FOLDER, "data_root=corrupt"], ["corrupt/a/3.png"]),
    "missing files": (
        ["mode=multitask", "dataset=mnist", "dataset.download=false", "data_root=empty"],
        ["empty", "train-images-idx3-ubyte"],
    ),
    "labels out of range": (
        ["mode=multitask", "dataset=wrong", "--trust", "wrong_data"],
        ["dataset.tasks.digit", "outside 0..9", "10"],
    ),
    "large batch": ([*MULTITASK, "batch_size=100000"], ["batch_size", "100000", "training rows"]),
    "many shots": ([*MULTITASK, "dataset.shots=10000"], ["dataset.shots", "10000", "Use at most"]),
    "unknown class": ([*MULTITASK, "dataset.classes=[11]"], ["dataset.classes", "'11'"]),
    "missing run": (["resume", "nowhere"], ["nowhere", "no run here"]),
    "missing run of evaluate": (["evaluate", "nowhere"], ["nowhere", "no run here"]),
    "missing folder of board": (["board", "nowhere"], ["nowhere", "no such folder"]),
}


SMALL = ["source.per_class=30"]
OTHERS = ["source.classes=[0,1,2,3,4]", "target.classes=[7,8,9]"]
# What only the data, the plan or the model can show: told before anything is written.
TRANSFER: dict[str, tuple[list[str], list[str]]] = {
    "term that would do nothing": (
        ["mode=multitask", "terms=[l2_sp]"],
        ["terms.l2_sp", "would do nothing", "learned before"],
    ),
    "term of adaptation in fine-tuning": (
        [*SMALL, "terms=[dann]"],
        ["terms.dann", "would do nothing", "strategy=adapt"],
    ),
    "term of several sources with one": (
        ["strategy=generalize", *SMALL, "terms=[irm]"],
        ["terms.irm", "would do nothing", "sources=[a,b]"],
    ),
    "missing run of the source": (
        ["source.run=nowhere"],
        ["source.run", "nowhere", "does not exist", "completed run"],
    ),
    "folder without a run": (["source.run=empty"], ["source.run", "no selected weights yet"]),
    "missing weights": (["source.weights=nowhere.pt"], ["source.weights", "nowhere.pt"]),
    "file of no weights": (["source.weights=notes.pt"], ["source.weights", "can't be read"]),
    "run and weights": (
        ["source.run=a", "source.weights=b.pt"],
        ["source", "run and weights are both set"],
    ),
    "no such data for pretraining": (
        ["mode=multitask", "terms=[simclr]", "pretraining.data=[nowhere]"],
        ["pretraining.data", "'nowhere'"],
    ),
    "validator on numbers": (
        [
            "strategy=adapt",
            *SMALL,
            "tasks=[parity]",
            "source.tasks.parity._target_=jlrun.tasks.Regression",
            "target.tasks.parity._target_=jlrun.tasks.Regression",
        ],
        ["validator", "no exclusive classes"],
    ),
    "target of other classes": (
        ["strategy=adapt", *SMALL, *OTHERS, "tasks=[digit]", "batch_size=8"],
        ["target.tasks", "no source has a task of the same name and classes"],
    ),
    "target of other classes, unseen": (
        ["strategy=generalize", *SMALL, *OTHERS, "tasks=[digit]", "batch_size=8"],
        ["target.tasks", "no source has a task of the same name and classes"],
    ),
    "pattern that names nothing": (
        [*SMALL, "finetune=surgical", "finetune.parameters=nonsense"],
        ["finetune.parameters", "'nonsense' matches no parameter", "body.trunk"],
    ),
    "pattern of no adapter": (
        [*SMALL, "finetune=lora", "finetune.parameters=nonsense"],
        ["finetune.parameters", "'nonsense' matches no weight"],
    ),
    "pattern that is none": (
        [*SMALL, "finetune=lora", "finetune.parameters='('"],
        ["finetune.parameters", "not a regular expression"],
    ),
    "unknown source weight": (
        ["strategy=joint", "sources=[printed_digits]", "source_weights={printed: 2}"],
        ["source_weights", "'printed'", "Did you mean 'printed_digits'?"],
    ),
    "source of weights without data": (
        ["strategy=adapt", "source.run=a"],
        ["source.run", "sources=[…]"],
    ),
    "distil without a teacher": (
        ["mode=multitask", "terms=[distill]"],
        ["terms.distill.run", "a teacher is needed"],
    ),
    "no width of a kernel": (
        ["strategy=adapt", *SMALL, "terms=[mmd]", "terms.mmd.kernels=[]"],
        ["terms.mmd.kernels", "at least 1"],
    ),
    "no stage to mix styles at": (
        ["strategy=generalize", *SMALL, "sharing=mixstyle", "sharing.stages=[]"],
        ["sharing.stages", "at least 1"],
    ),
    "contrast of classes without labels": (
        ["strategy=adapt", *SMALL, "terms=[mcc,supcon]", "pretraining.data=[target]"],
        ["terms.supcon", "needs rows with classes", "target has none"],
    ),
    "statistics without BatchNorm": (
        ["strategy=adapt", *SMALL, "terms=[adabn]", "backbone/image=mlp"],
        ["terms.adabn", "no BatchNorm"],
    ),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("JLRUN_DATA", raising=False)
    return tmp_path


def _rejected(
    arguments: list[str], fragments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.err.startswith("jlrun: ")
    assert all(fragment in told.err for fragment in fragments), told.err
    assert "Traceback" not in told.err + told.out


@pytest.mark.parametrize("case", NAMES | VALUES)
def test_a_wrong_config(case: str, capsys: Capture) -> None:
    _rejected(*(NAMES | VALUES)[case], capsys)
    assert not Path("outputs").exists(), "a wrong config leaves nothing behind"


@pytest.mark.parametrize("case", INPUT)
def test_wrong_input(case: str, folder: Path, capsys: Capture) -> None:
    (folder / "empty").mkdir()
    _write_corrupt_images(folder / "corrupt")
    (folder / "conf" / "dataset").mkdir(parents=True)
    (folder / "conf" / "dataset" / "wrong.yaml").write_text(OWN_YAML)
    (folder / "wrong_data.py").write_text(OWN_DATA)
    _rejected(*INPUT[case], capsys)
    assert not Path("outputs").exists(), "every file is read before a run begins"


@pytest.mark.parametrize("case", TRANSFER)
def test_a_wrong_transfer(case: str, folder: Path, capsys: Capture) -> None:
    (folder / "empty").mkdir()
    (folder / "notes.pt").write_text("not weights")
    _rejected(*TRANSFER[case], capsys)
    assert not Path("outputs").exists()


@pytest.mark.parametrize("case", ["mode", "several", "verb", "no value"])
def test_the_same_in_a_process_of_its_own(case: str, folder: Path) -> None:
    arguments, fragments = NAMES[case]
    _rejected_by_process(arguments, fragments, folder)


@pytest.mark.parametrize("case", ["alias", "missing run of the source"])
def test_values_and_input_in_a_process_of_their_own(case: str, folder: Path) -> None:
    _rejected_by_process(*(VALUES | INPUT | TRANSFER)[case], folder)


def _rejected_by_process(arguments: list[str], fragments: list[str], folder: Path) -> None:
    command = [sys.executable, "-m", "jlrun", *arguments]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 2, run.stderr
    assert all(fragment in run.stderr for fragment in fragments), run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def _write_corrupt_images(root: Path) -> None:
    from PIL import Image

    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for number in range(12):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(root / name / f"{number}.png")
    (root / "a" / "3.png").write_bytes(b"not an image")
