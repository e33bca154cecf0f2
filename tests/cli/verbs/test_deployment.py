"""Programs and the server of a run predict what ``jlrun predict`` writes.

Each mode is trained for two epochs. Programs are run outside of jlrun on real rows, made into
tensors as ``preprocessing.json`` says.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from jlrun.cli.main import main
from jlrun.runs.new_predictions import Asked
from jlrun.runs.serving import make_app

QUICK = [
    *("engine.threads=1", "recorder.figures=false", "recorder.tensorboard=false"),
    *("recorder.progress=none", "baselines=false", "epochs=2", "optimizer.lr=0.01"),
]
FORMATS = ["torch_export", "onnx"]
SIZES = (1, 7)  # rows at once
Arrays = Mapping[str, np.ndarray]
Program = Callable[[Arrays, Arrays], dict[str, np.ndarray]]


def trained(folder: Path, *overrides: str) -> Path:
    assert main([*overrides, *QUICK, f"hydra.run.dir={folder / 'run'}"]) == 0
    return folder / "run"


def exported(run: Path, form: str, *options: str) -> Path:
    output = run.parent / form
    arguments = ["export", str(run), "--format", form, "--output", str(output), *options]
    assert main(arguments) == 0
    return output


def predicted(run: Path, rows: Path) -> list[dict[str, str]]:
    output = rows.with_suffix(".predicted.csv")
    assert main(["predict", str(run), "--input", str(rows), "--output", str(output)]) == 0
    with output.open(newline="") as file:
        return list(csv.DictReader(file))


def outputs_of(folder: Path, inputs: Arrays, present: Arrays) -> dict[str, np.ndarray]:
    """Return task -> what the program in a folder predicts, some rows at once and the others."""
    program = (_onnx if (folder / "model.onnx").exists() else _torch)(folder)
    count, found, start = len(next(iter(inputs.values()))), [], 0
    while start < count:
        stop = start + SIZES[len(found) % 2]
        cut = [{k: v[start:stop] for k, v in each.items()} for each in (inputs, present)]
        found.append(program(*cut))
        start = stop
    return {task: np.concatenate([part[task] for part in found]) for task in found[0]}


def _onnx(folder: Path) -> Program:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    about = json.loads((folder / "preprocessing.json").read_text())
    names = {task: told["tensor"]["name"] for task, told in about["outputs"].items()}

    def run(inputs: Arrays, present: Arrays) -> dict[str, np.ndarray]:
        masks = {about["masks"][name]["tensor"]["name"]: mask for name, mask in present.items()}
        values = session.run(list(names.values()), {**inputs, **masks})
        return dict(zip(names, values, strict=True))

    return run


def _torch(folder: Path) -> Program:
    module: Any = torch.export.load(folder / "model.pt2").module()

    @torch.no_grad()
    def run(*arrays: Arrays) -> dict[str, np.ndarray]:
        given = [{k: torch.from_numpy(v) for k, v in each.items()} for each in arrays]
        return {task: values.numpy() for task, values in module(*given).items()}

    return run


def classes_in(row: Mapping[str, str], task: str, classes: list[str]) -> list[float]:
    return [float(row[f"{task}_p_{name}"]) for name in classes]


def check_classes(folder: Path, found: Arrays, rows: list[dict[str, str]], *tasks: str) -> None:
    told = json.loads((folder / "preprocessing.json").read_text())["outputs"]
    for task in tasks:
        names = told[task]["classes"]
        expected = np.array([classes_in(row, task, names) for row in rows])
        assert found[task].shape == expected.shape
        assert np.abs(found[task] - expected).max() < 1e-4
        assert np.ptp(expected, axis=0).max() > 5e-3  # rows differ by more than is allowed


def needs(form: str) -> None:
    if form == "onnx":
        for library in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(library)


def digit_images(count: int) -> np.ndarray:
    return np.round(load_digits().images[:count, None] * 255 / 16).astype(np.uint8)


@pytest.fixture(scope="module")
def multitask(tmp_path_factory: pytest.TempPathFactory) -> Path:
    what = ("mode=multitask", "dataset.limit=300", "backbone/image=mlp", "sharing=mmoe")
    return trained(tmp_path_factory.mktemp("multitask"), *what, "backbone.image.hidden=[32]")


@pytest.fixture(scope="module")
def transfer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    what = ("mode=transfer", "source.per_class=8", "pretrain_epochs=1", "finetune=lora")
    small = ("backbone/image=cnn", "backbone.image.channels=[4,8]", "backbone.image.hidden=16")
    return trained(tmp_path_factory.mktemp("transfer"), *what, *small)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("mode", ["multitask", "transfer"])
def test_images(mode: str, form: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    needs(form)
    run = request.getfixturevalue(mode)
    np.save(tmp_path / "rows.npy", digit_images(16))
    folder = exported(run, form)
    rows = predicted(run, tmp_path / "rows.npy")
    check_classes(
        folder, outputs_of(folder, {"image": digit_images(16)}, {}), rows, "digit", "parity"
    )


@pytest.fixture(scope="module")
def multimodal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    what = ("mode=multimodal", "dataset=digits_dtmf", "dataset.limit=200", "missing.evaluate=false")
    small = ("backbone.audio.channels=[4]", "backbone.audio.hidden=16", "backbone/image=cnn")
    small += ("backbone.image.channels=[4]", "backbone.image.hidden=16", "fusion.width=16")
    names = ("modalities=[image,audio]", "backbone/audio=audio_cnn", "fusion=gated")
    return trained(tmp_path_factory.mktemp("multimodal"), *what, *small, *names)


@pytest.mark.parametrize("form", FORMATS)
def test_images_and_sounds_that_may_be_missing(multimodal: Path, form: str, tmp_path: Path) -> None:
    needs(form)
    folder, count = exported(multimodal, form), 8
    about = json.loads((folder / "preprocessing.json").read_text())
    samples = about["inputs"]["audio"]["tensor"]["shape"][1]
    random = np.random.default_rng(0)
    waves = (0.3 * np.sin(np.arange(samples) * random.uniform(0.2, 1, (count, 1)))).astype("f4")
    inputs = {"image": digit_images(count), "audio": waves}
    everywhere = np.ones(count, bool)
    for absent in (None, "image", "audio"):
        np.savez(tmp_path / "rows.npz", **{k: v for k, v in inputs.items() if k != absent})
        rows = predicted(multimodal, tmp_path / "rows.npz")
        present = {name: everywhere & (name != absent) for name in inputs}
        check_classes(folder, outputs_of(folder, inputs, present), rows, "digit", "parity")


COLOURS, WORDS = ["red", "green", "blue"], ["good", "bad", "very", "not", "fine"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, random = tmp_path_factory.mktemp("table"), np.random.default_rng(0)
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "age", "colour", "review", "price", "kind"])
        for i in range(240):
            size, colour = random.normal(50, 9), random.integers(3)
            words = " ".join(random.choice(WORDS, 4))
            price = 1e4 * np.exp(0.05 * size + random.normal() + 2 * (random.random() < 0.05))
            age = "" if i % 9 == 0 else f"{random.exponential(20):.3f}"
            kind = "xyz"[int(colour)] if random.random() < 0.8 else "x"
            writer.writerow([f"{size:.4f}", age, COLOURS[colour], words, f"{price:.2f}", kind])
    what = ("mode=multimodal", "dataset=table", f"dataset.path={folder / 'rows.csv'}")
    names = ("dataset.targets=[price,kind]", "dataset.columns={review: text}")
    more = ("missing.evaluate=false", "references=false", "backbone.text.width=16", "heads=linear")
    trained(folder, *what, *names, *more, "dataset.target_transform=quantile")
    return folder


@pytest.mark.parametrize("form", FORMATS)
def test_cells_and_words_of_a_table(table: Path, form: str) -> None:
    needs(form)
    folder, count = exported(table / "run", form), 16
    about = json.loads((folder / "preprocessing.json").read_text())
    cells, words = (about["inputs"][name]["spec"] for name in ("tabular", "text"))
    with (table / "rows.csv").open(newline="") as file:
        given = list(csv.DictReader(file))
    assert about["outputs"]["price"]["learned_as"]["scale"] == "quantile"
    rows = predicted(table / "run", table / "rows.csv")[:count]
    levels = cells["levels"][0]
    tabular = np.array(
        [
            [*(float(r[n] or "nan") for n in cells["numbers"]), 1 + levels.index(r["colour"])]
            for r in given[:count]
        ]
    )
    ids = {word: i for i, word in enumerate(words["vocabulary"], 2)}
    text = np.zeros((count, words["length"]), np.int64)
    for row, r in zip(text, given, strict=False):
        found = [ids.get(word, 1) for word in r["review"].split()][: len(row)]
        row[: len(found)] = found
    present = dict.fromkeys(("tabular", "text"), np.ones(count, bool))
    found = outputs_of(folder, {"tabular": tabular, "text": text}, present)
    check_classes(folder, found, rows, "kind")
    prices = np.array([float(row["price"]) for row in rows])
    assert found["price"][:, 0] == pytest.approx(prices, rel=1e-4)
    assert prices.min() > 1e4  # in the unit of the column


def client_of(run: Path, most_bytes: int = 10**6) -> Any:
    testing = pytest.importorskip("fastapi.testclient", exc_type=ImportError)
    pytest.importorskip("httpx")
    return testing.TestClient(make_app(run, Asked(), most_bytes), base_url="http://127.0.0.1")


def same(row: Mapping[str, Any], expected: Mapping[str, str]) -> bool:
    """Whether an answer has the cells of a row that ``jlrun predict`` wrote."""
    cells = {name: cell for name, cell in expected.items() if name != "input"}
    assert row.keys() == cells.keys()
    return all(
        row[name] == (cell if isinstance(row[name], str) else pytest.approx(float(cell), rel=1e-5))
        for name, cell in cells.items()
    )


def test_a_server_answers_rows_as_predict_does(table: Path) -> None:
    client = client_of(table / "run")
    assert client.get("/").json()["takes"] == {"rows": {"text": "text", "tabular": "tabular"}}
    with (table / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:4]
    del rows[0]["colour"]
    found = client.post(
        "/predict", json={"rows": [{k: v or None for k, v in r.items()} for r in rows]}
    )
    assert found.status_code == 200
    expected = predicted(table / "run", table / "rows.csv")[:4]
    answers = found.json()["predictions"]
    assert all(same(answer, row) for answer, row in zip(answers[1:], expected[1:], strict=True))
    assert not same(answers[0], expected[0])  # its colour is missing
    for body, line in {
        '{"rows": [{"size": "wide"}]}': "size is 'wide'",
        '{"rows": [{"sise": 1}]}': "none of the columns",
        '{"rows": []}': "at least one object",
        '{"row": [{}]}': "expected one key",
        '{"rows": [{"size": NaN}]}': "is not JSON",
        "[" * 100_000: "nested too deeply",
    }.items():
        refused = client.post(
            "/predict", content=body, headers={"content-type": "application/json"}
        )
        assert (refused.status_code, line in refused.json()["error"]) == (422, True), refused.text
        assert "\n" not in refused.json()["error"]
        assert "/tmp" not in refused.json()["error"]


def test_a_server_answers_images_and_arrays(transfer: Path, tmp_path: Path) -> None:
    client, pixels = client_of(transfer, 2000), digit_images(2)
    np.save(tmp_path / "rows.npy", pixels)
    expected = predicted(transfer, tmp_path / "rows.npy")
    found = client.post("/predict", json={"inputs": {"image": pixels[:, 0].tolist()}})
    assert all(map(same, found.json()["predictions"], expected))
    Image.fromarray(pixels[1, 0]).save(tmp_path / "one.png")
    content, png = (tmp_path / "one.png").read_bytes(), {"content-type": "image/png"}
    (answer,) = client.post("/predict", content=content, headers=png).json()["predictions"]
    assert same(answer, expected[1])
    assert client.post("/predict", content=content[:50], headers=png).status_code == 422
    assert client.post("/predict", content=bytes(2001), headers=png).status_code == 413
    plain = client.post("/predict", content=content, headers={"content-type": "text/plain"})
    assert plain.status_code == 415
    assert client.get("/", headers={"host": "elsewhere.example"}).status_code == 400
    for inputs, line in [
        ({"image": [[[256]]]}, "from 0 to 255"),
        ({"image": [["a"]]}, "expected numbers"),
        ({"image": [[1, 2], [3]]}, "different shapes"),
        ({"sound": [1]}, "takes no 'sound'"),
        ({}, "modality -> a list"),
    ]:
        refused = client.post("/predict", json={"inputs": inputs})
        assert (refused.status_code, line in refused.text) == (422, True), refused.text
