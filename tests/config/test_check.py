"""Everything that is wrong is told at once, and nothing is imported that is not needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jlrun.config import check_values, checked
from jlrun.config.compose import compose
from jlrun.errors import UserError


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(*overrides: str) -> list[str]:
    with pytest.raises(UserError) as raised:
        checked(list(overrides))
    return [str(problem) for problem in raised.value.problems]


def test_names_types_ranges_parts_and_arguments_are_told_together() -> None:
    assert told(
        "mode=multitsk",
        "epochs=1.5",
        "seed=-1",
        "optimizer.lr=abc",
        "wieghting=equal",
        "tasks=[digt]",
        "fusion=gated",
        "dataset.shots=0",
        "dataset.tasks.digit.label_smoothing=2",
    ) == [
        "mode: there is no option 'multitsk'. Did you mean 'multitask'?",
        "wieghting: there is no such key. Did you mean 'weighting'?",
        "seed: -1 is too small: at least 0",
        "epochs: 1.5 is not a whole number",
        "tasks: the data set has no task 'digt'. Did you mean 'digit'?",
        "fusion: there is one modality, image: nothing to fuse; fusion=none",
        "optimizer.lr: 'abc' is not a number",
        "dataset.tasks.digit.label_smoothing: 2 is too large: less than 1",
        "dataset.shots: 0 is too small: at least 1",
        "dataset.val_shots: 0 is too small: at least 1",
    ]


def test_keys_that_were_added_are_checked_too() -> None:
    assert told("mode=multitask", "+foo=1", "+engine.devise=cpu")[0] == (
        "engine.devise: there is no such key. Did you mean 'device'?"
    )
    assert (
        "AdamW takes no 'amsgard'. Did you mean 'amsgrad'?"
        in told("mode=multitask", "+optimizer.amsgard=true")[0]
    )


def test_values_that_must_be_set_are_told(tmp_path: Path) -> None:
    (tmp_path / "conf" / "dataset").mkdir(parents=True)
    (tmp_path / "conf/dataset/mine.yaml").write_text("defaults: [_subset]\n_target_: ???\n")
    assert "dataset._target_: must be set: dataset._target_=…" in told(
        "mode=multitask", "dataset=mine"
    )


def test_a_right_config_comes_back_composed(tmp_path: Path) -> None:
    composed = checked(["mode=multitask", "optimizer.lr=0.1"])
    assert composed.config["optimizer"]["lr"] == 0.1
    assert composed.overrides == ["mode=multitask", "optimizer.lr=0.1"]
    assert composed.run_dir.is_relative_to(tmp_path)


def test_the_config_of_a_saved_run_is_checked_like_any_other() -> None:
    config = compose(["mode=multitask"]).config
    assert check_values(config) == []
    config["optimizer"]["_target_"] = "torch.os.system"
    config["heads"]["bais"] = 1
    assert [problem.where for problem in check_values(config)] == [
        "optimizer._target_",
        "heads.bais",
    ]


@pytest.mark.parametrize(
    "overrides",
    [
        ["moed=transfer"],
        ["mode=multitask", "tasks=[digit]", "wieghting=equal", "epochs=1.5"],
        ["mode=multitask", "fusion=gatd"],
    ],
)
def test_a_config_rejected_for_its_names_needs_no_torch(overrides: list[str]) -> None:
    code = (
        "import sys; from jlrun.cli.main import main; code = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *overrides], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2, run.stderr
    assert "Did you mean" in run.stderr
