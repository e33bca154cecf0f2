"""What baselines depend on, and how they get into the cache and out of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch import nn

from jlrun.config import checked
from jlrun.errors import UserError
from jlrun.models import checkpoints
from jlrun.runs import shared_baselines
from jlrun.runs.assembly import assemble
from jlrun.runs.settings import RunSettings
from jlrun.runs.shared_baselines import ORIGIN_FILE, SharedBaselines, fingerprint, origins
from jlrun.training.plan import Fit

MODES = {
    "multitask": ["mode=multitask"],
    "multimodal": ["mode=multimodal"],
    "transfer": ["mode=transfer", "source.per_class=30"],
    "joint": ["mode=transfer", "strategy=joint", "source.per_class=30"],
}


def fits_of(*overrides: str) -> tuple[RunSettings, tuple[Fit, ...]]:
    settings = RunSettings.parse(checked(list(overrides)).config)
    return settings, assemble(settings).plan.fits


def fingerprints(mode: str, *overrides: str) -> dict[str, str]:
    settings, fits = fits_of(*MODES[mode], *overrides)
    shared = SharedBaselines(None, Path("/run"), settings.config, "cpu")
    return {
        fit.name: fingerprint(shared.depends_on(fit))
        for fit in fits
        if fit.independent_of is not None
    }


@pytest.mark.parametrize(
    ("mode", "same", "other"),
    [
        (
            "multitask",
            ["weighting=pcgrad", "recorder.log_every=3", "engine.threads=1"],
            ["optimizer.lr=0.1", "seed=1", "engine.precision=bf16", "epochs=3"],
        ),
        (
            "multimodal",
            ["fusion=concat"],
            ["weighting=dwa", "tasks=[digit]", "backbone.image.dropout=0.7"],
        ),
        (
            "transfer",
            ["finetune=head", "source.rotate=5"],
            ["pretrain_epochs=9", "weighting=dwa", "lambda_=2", "target.shots=7"],
        ),
        ("joint", ["lambda_=2"], ["epochs=3", "optimizer=sgd"]),
    ],
)
def test_a_baseline_is_shared_by_runs_that_differ_in_nothing_it_depends_on(
    mode: str, same: list[str], other: list[str]
) -> None:
    expected = fingerprints(mode)
    assert expected
    assert len(set(expected.values())) == len(expected)
    for override in same:
        assert fingerprints(mode, override) == expected, override
    for override in other:
        assert not set(fingerprints(mode, override).values()) & set(expected.values()), override


def test_single_task_baselines_do_not_depend_on_the_other_tasks() -> None:
    expected = fingerprints("multitask", "dataset=multidigits")
    assert fingerprints("multitask", "dataset=multidigits", "tasks=[right,left]") == expected


def test_the_main_fit_is_never_shared() -> None:
    for overrides in MODES.values():
        assert fits_of(*overrides)[1][0].independent_of is None


@pytest.fixture(scope="module")
def single() -> tuple[RunSettings, Fit]:
    settings, (_, fit, *_) = fits_of("mode=multitask")
    return settings, fit


def _trained(folder: Path, text: str = "{}") -> Path:
    (folder / "best").mkdir(parents=True)
    (folder / "best" / "model.safetensors").write_text(text)
    (folder / "fit.json").write_text(text)
    return folder


def _shared(single: tuple[RunSettings, Fit], tmp_path: Path, run: str) -> SharedBaselines:
    return SharedBaselines(tmp_path / "baselines", tmp_path / run, single[0].config, "cpu")


def test_what_one_run_publishes_another_fetches(
    single: tuple[RunSettings, Fit], tmp_path: Path
) -> None:
    folder = _trained(tmp_path / "0" / "a")
    _shared(single, tmp_path, "0").publish(single[1], folder)
    assert not (folder / ORIGIN_FILE).exists()
    copy = tmp_path / "3" / "baselines" / "single_task" / "digit" / "checkpoints"
    assert _shared(single, tmp_path, "3").fetch(single[1], copy) == tmp_path / "0"
    assert (copy / "fit.json").read_text() == "{}"
    assert (copy / "best" / "model.safetensors").is_file()
    assert origins({"digit": copy, "parity": folder}) == {"digit": "../0"}
    # What was fetched is not published again, and what is there is not fetched again.
    (cached,) = (tmp_path / "baselines").iterdir()
    told = (cached / ORIGIN_FILE).read_text()
    _shared(single, tmp_path, "3").publish(single[1], copy)
    assert (cached / ORIGIN_FILE).read_text() == told
    assert json.loads(told)["depends_on"]["fit"] == single[1].name
    assert _shared(single, tmp_path, "3").fetch(single[1], copy) is None


def test_one_run_at_a_time_trains_a_baseline(
    single: tuple[RunSettings, Fit], tmp_path: Path
) -> None:
    first, second = (_shared(single, tmp_path, run) for run in ("first", "second"))
    with first.claimed(single[1]) as ours:
        assert ours
        with second.claimed(single[1]) as theirs:
            assert not theirs
    with second.claimed(single[1]) as theirs:
        assert theirs
        second.publish(single[1], _trained(tmp_path / "second" / "fit"))
        with first.claimed(single[1]) as ours:
            assert ours, "it is there to be fetched"


def test_the_run_that_finishes_first_is_kept(
    single: tuple[RunSettings, Fit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (_shared(single, tmp_path, run) for run in "01")
    own = _trained(tmp_path / "1" / "a", "2")
    copy = shared_baselines.copy_folder

    def after_the_first(*arguments: object) -> bool:
        monkeypatch.setattr(shared_baselines, "copy_folder", copy)
        first.publish(single[1], _trained(tmp_path / "0" / "a", "1"))
        return copy(*arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(shared_baselines, "copy_folder", after_the_first)
    second.publish(single[1], own)
    (cached,) = (tmp_path / "baselines").iterdir()
    assert (cached / "fit.json").read_text() == "1"


def test_a_run_killed_while_copying_copies_again(
    single: tuple[RunSettings, Fit], tmp_path: Path
) -> None:
    shared = _shared(single, tmp_path, "1")
    _shared(single, tmp_path, "0").publish(single[1], _trained(tmp_path / "0" / "a"))
    folder = tmp_path / "1" / "checkpoints"
    (tmp_path / "1" / ".checkpoints.new").mkdir(parents=True)
    (tmp_path / "1" / ".checkpoints.new" / "half").write_text("")
    assert shared.fetch(single[1], folder) == tmp_path / "0"
    assert sorted(path.name for path in (tmp_path / "1").iterdir()) == ["checkpoints"]
    assert sorted(path.name for path in folder.iterdir()) == ["best", "fit.json", ORIGIN_FILE]


def test_what_the_run_has_begun_itself_it_goes_on_with(
    single: tuple[RunSettings, Fit], tmp_path: Path
) -> None:
    _shared(single, tmp_path, "0").publish(single[1], _trained(tmp_path / "0" / "a"))
    folder = tmp_path / "1" / "checkpoints"
    (folder / "last").mkdir(parents=True)
    assert _shared(single, tmp_path, "1").fetch(single[1], folder) is None
    assert not (folder / "fit.json").exists()


def test_without_a_cache_nothing_is_shared(single: tuple[RunSettings, Fit], tmp_path: Path) -> None:
    shared = SharedBaselines.of(single[0], tmp_path / "0", "cpu")
    shared.publish(single[1], _trained(tmp_path / "0" / "a"))
    assert shared.fetch(single[1], tmp_path / "0" / "b") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0"]


@pytest.mark.parametrize("name", ["fit.json", "best/model.safetensors"])
def test_a_damaged_one_is_not_copied(
    single: tuple[RunSettings, Fit], tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "0" / "a"
    checkpoints.save(folder / "best", nn.Linear(2, 2), {})
    (folder / "fit.json").write_text('{"seconds": 1}')
    _shared(single, tmp_path, "0").publish(single[1], folder)
    (cached,) = (tmp_path / "baselines").iterdir()
    content = bytearray((cached / name).read_bytes())
    content[-2] ^= 1
    (cached / name).write_bytes(content)
    copy = tmp_path / "1" / "checkpoints"
    with pytest.raises(UserError, match=f"damaged.*delete '{cached}', which runs share"):
        _shared(single, tmp_path, "1").fetch(single[1], copy)
    assert not copy.exists()
