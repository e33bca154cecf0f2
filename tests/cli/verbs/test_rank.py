"""``jlrun rank`` as a user types it, on tiny runs and a weight file."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18

from jlrun.cli.main import main
from jlrun.cli.verbs.rank import compose_target
from jlrun.runs.ranking.candidates import each_candidate
from jlrun.runs.ranking.sources import find_sources
from jlrun.runs.ranking.target import load_targets
from jlrun.runs.settings import RunSettings

TINY = [
    *("mode=multitask", "dataset=printed_digits", "dataset.size=12", "batch_size=32"),
    *("backbone.image.channels=[8,16]", "backbone.image.hidden=32", "baselines=false"),
    *("engine.threads=1", "recorder.progress=none", "recorder.tensorboard=false"),
    "recorder.figures=false",
]
FEW = ["dataset=digits", "dataset.limit=200", "engine.device=cpu", "engine.threads=1"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``digits`` learned printed digits of 12 × 12 pixels, ``parity`` hardly anything of them."""
    folder = tmp_path_factory.mktemp("sources")
    much = ["dataset.per_class=100", "epochs=6", "optimizer.lr=3e-3"]
    little = ["dataset.per_class=20", "epochs=1", "tasks=[parity]"]
    for name, what in (("digits", much), ("parity", little)):
        assert main([*TINY, *what, f"hydra.run.dir={folder / name}"]) == 0
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet18().state_dict(), path)
    return path


def test_a_trained_source_ranks_above_the_untrained(
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = {p: p.stat().st_mtime_ns for p in runs.rglob("*")}
    output, figure = tmp_path / "found.json", tmp_path / "new" / "found.png"
    monkeypatch.chdir(runs)
    capsys.readouterr()
    written = ["--output", str(output), "--figure", str(figure)]
    assert main(["rank", "dataset=digits", "--runs", "parity", "digits", *written]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    found = json.loads(output.read_text())
    assert set(found) == {"digit", "parity"}
    rows = found["digit"]["candidates"]
    by_name = {row["candidate"]: row for row in rows}
    assert set(by_name) == {"parity", "digits", "untrained cnn"}, "one architecture"
    assert rows[0]["candidate"] == "digits"
    assert [row["logme"] for row in rows] == sorted((r["logme"] for r in rows), reverse=True)
    trained, fresh = by_name["digits"], by_name["untrained cnn"]
    for measure in ("logme", "h_score", "shrunk_h_score"):
        assert trained[measure] > fresh[measure]
    assert trained["heads"] == {"leep": "digit", "nce": "digit"}
    assert by_name["parity"]["heads"] == {"leep": "parity", "nce": "parity"}
    assert (trained["mean_rank"], fresh["mean_rank"], fresh["leep"]) == (1, None, None)
    lines = printed.out.splitlines()
    assert lines[0] == "digit: 1,150 training rows"
    assert f"{trained['logme']:.3f}" in lines[2]
    assert lines[-2].startswith("digit: by LogME transfer from digits")
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert {p: p.stat().st_mtime_ns for p in runs.rglob("*")} == before, "no run is changed"


def test_overrides_may_follow_the_runs_and_scores_repeat(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = []
    for i, order in enumerate((["digits", "parity"], ["parity", "digits"])):
        names = [str(runs / name) for name in order]
        output = tmp_path / f"{i}.csv"
        arguments = ["rank", "--by", "nce", "--output", str(output), "--runs", *names, *FEW]
        assert main([*arguments, "tasks=[digit]"]) == 0
        with output.open() as file:
            tables.append({row["candidate"]: row for row in csv.DictReader(file)})
        assert f"digit: by NCE transfer from {runs / 'digits'}" in capsys.readouterr().out
    assert next(iter(tables[0])) == str(runs / "digits")
    assert {row["task"] for row in tables[0].values()} == {"digit"}
    assert tables[0] == tables[1], "untrained networks are the same each time, too"


def test_backbones_have_the_weights_of_their_file(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, source = tmp_path / "found.json", f"resnet18:{weights}"
    what = ["--resize", "32", "--output", str(output)]
    assert main(["rank", *FEW, *what, "--backbones", source]) == 0
    rows = json.loads(output.read_text())["digit"]["candidates"]
    assert {row["candidate"] for row in rows} == {source, "untrained resnet18"}
    assert all((row["features"], row["leep"]) == (512, None) for row in rows)
    assert len({row["logme"] for row in rows}) == 2
    assert "200 training rows" in capsys.readouterr().out
    settings = RunSettings.parse(compose_target(FEW).config)
    (target,) = load_targets(settings)
    loaded, fresh = each_candidate(find_sources([], [source]), target, settings)
    expected = torch.load(weights)["layer4.1.conv2.weight"]
    for candidate, same in ((loaded, True), (fresh, False)):
        found = candidate.model.state_dict()
        (name,) = (key for key in found if key.endswith("layer4.1.conv2.weight"))
        assert torch.equal(found[name].cpu(), expected) == same


def test_a_run_takes_its_own_modalities_of_a_target_with_more(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    what = ["dataset=digits_dtmf", "dataset.limit=100", "engine.threads=1", "tasks=[digit]"]
    assert main(["rank", *what, "--runs", str(runs / "digits")]) == 0
    assert "digit: 100 training rows" in capsys.readouterr().out


def test_networks_without_shared_features_are_looked_at_too(runs: Path, tmp_path: Path) -> None:
    """Cross-stitch networks have a trunk for each task, and an untrained network of their own."""
    run, output = tmp_path / "stitched", tmp_path / "found.json"
    what = ["sharing=cross_stitch", "dataset.per_class=10", "epochs=1"]
    assert main([*TINY, *what, f"hydra.run.dir={run}"]) == 0
    sources = ["--runs", str(runs / "digits"), str(run), "--output", str(output)]
    assert main(["rank", *FEW, *sources, "engine.precision=bf16"]) == 0
    rows = json.loads(output.read_text())["digit"]["candidates"]
    kinds = [(row["candidate"], row["kind"]) for row in rows if row["kind"] == "untrained"]
    assert {name for name, _ in kinds} == {"untrained cnn", f"untrained cnn of {run}"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to rank: name finished runs by --runs RUN …"),
        (["--runs", "nowhere"], "nowhere: there is no run here: config.yaml is missing"),
        (["--runs", "RUN", "dataset=digts"], "there is no option 'digts'. Did you mean 'digits'?"),
        (["--runs", "RUN", "dataset.shots=1"], "a class with two is needed; use more shots"),
        (["--runs", "RUN", "dataset.classes=[3]"], "at least two classes are needed"),
        (["--runs", "RUN", "--by", "loss"], "argument --by: invalid choice: 'loss'"),
        (["--runs", "RUN", "--output", "a.txt"], "--output: 'a.txt' is not .json or .csv"),
        (["--runs", "RUN", "--figure", "a.txt"], "--figure: 'a.txt' is not .png"),
        (["--backbones", "resnet18:/gone.pth"], "resnet18:/gone.pth: there is no file '/gone.pth'"),
        (["--backbones", "resnt18"], "Did you mean 'resnet18'?"),
        (["--runs", "SOUND"], "takes 'audio', which 'dataset' does not have. Choose from: image"),
        (["--runs", "UNFINISHED"], "this run has no selected model yet; resume it first"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    message: str,
    runs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"RUN": runs / "digits", "SOUND": tmp_path / "sound", "UNFINISHED": tmp_path / "new"}
    for name, kept in (("sound", ("*.yaml", "model.json", "checkpoints")), ("new", ("*.yaml",))):
        _copy(runs / "digits", tmp_path / name, kept)
    description = tmp_path / "sound" / "model.json"
    content = json.loads(description.read_text())
    spec = {"kind": "audio", "num_samples": 800, "sample_rate": 8000}
    description.write_text(json.dumps({**content, "modalities": {"audio": spec}}))
    texts = [str(places.get(text, text)) for text in arguments]
    overrides = [] if any("dataset=" in text for text in texts) else ["dataset=digits"]
    assert main(["rank", *overrides, *texts]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def _copy(source: Path, target: Path, patterns: tuple[str, ...]) -> None:
    import shutil

    target.mkdir()
    for path in (path for pattern in patterns for path in source.glob(pattern)):
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, target / path.name)


def test_a_wrong_name_is_told_without_pytorch(tmp_path: Path) -> None:
    program = (
        "import sys; from jlrun.cli.main import main; "
        "code = main(['rank', 'dataset=digts', '--runs', 'x']); "
        "sys.exit(9 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True)
    assert done.returncode == 2, done.stderr
