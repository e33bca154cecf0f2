"""Composition: the user's folder, the run directory, and no state left behind."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_module, version
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from jlrun.config import compose as module
from jlrun.config.compose import compose
from jlrun.errors import UserError


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_config_is_plain_resolved_and_without_hydra() -> None:
    composed = compose(["mode=multitask", "dataset.shots=3", "data_root=there"])
    assert composed.config["dataset"]["val_shots"] == 3
    assert type(composed.config["dataset"]) is dict
    assert "hydra" not in composed.config
    assert composed.overrides == ["mode=multitask", "dataset.shots=3", "data_root=there"]


def test_run_directories_are_absolute_and_differ(tmp_path: Path) -> None:
    first, second = (compose(["mode=multitask"]).run_dir for _ in range(2))
    assert first.parent == second.parent == tmp_path / "outputs" / "multitask"
    assert first != second


def test_the_run_directory_can_be_set(tmp_path: Path) -> None:
    assert compose(["hydra.run.dir=here"]).run_dir == tmp_path / "here"


def test_own_options_serve_as_any_others(tmp_path: Path) -> None:
    for group in ("dataset", "optimizer"):
        (tmp_path / "conf" / group).mkdir(parents=True)
    (tmp_path / "conf/dataset/mine.yaml").write_text("defaults: [digits]\nlimit: 30\n")
    (tmp_path / "conf/optimizer/mine.yaml").write_text("_target_: torch.optim.Rprop\nlr: 1\n")
    config = compose(["mode=multitask", "dataset=mine", "optimizer=mine"]).config
    assert config["dataset"]["limit"] == 30
    assert config["optimizer"] == {"_target_": "torch.optim.Rprop", "lr": 1}


def test_a_config_is_composed_anew_for_each_caller_and_by_the_files_as_they_are(
    tmp_path: Path,
) -> None:
    overrides = ["mode=multitask", "dataset=digits"]
    first, expected = compose(overrides).config, compose(overrides).config
    first["optimizer"]["lr"] = first["dataset"]["tasks"] = None
    assert compose([*overrides, "optimizer.lr=7"]).config["optimizer"]["lr"] == 7
    assert compose(overrides).config == expected
    file = tmp_path / "conf/optimizer/mine.yaml"
    file.parent.mkdir(parents=True)
    for rate in (1, 2):
        file.write_text(f"_target_: torch.optim.Rprop\nlr: {rate}\n")
        assert compose(["optimizer=mine"]).config["optimizer"]["lr"] == rate


def test_an_option_may_be_a_class_that_only_a_function_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @dataclass
    class Mine:
        _target_: str = "torch.optim.Rprop"
        lr: float = 3.0

    compose([])  # plugins store their options when they are first looked for
    store = ConfigStore.instance()
    monkeypatch.setattr(store, "repo", deepcopy(store.repo))
    store.store(group="optimizer", name="mine", node=Mine)
    for _ in range(2):
        assert compose(["optimizer=mine"]).config["optimizer"]["lr"] == 3


def test_files_that_are_not_met_again_do_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_COMPOSED", 3)
    monkeypatch.setattr(module, "_COMPOSED", {})
    (tmp_path / "conf/optimizer").mkdir(parents=True)
    for rate in range(1, 6):
        own = f"_target_: torch.optim.Rprop\nlr: {rate}\n"
        (tmp_path / "conf/optimizer/mine.yaml").write_text(own)
        assert compose(["optimizer=mine"]).config["optimizer"]["lr"] == rate
        assert len(module._COMPOSED) <= 3


def test_a_further_folder_of_options_is_searched(tmp_path: Path) -> None:
    (tmp_path / "more" / "optimizer").mkdir(parents=True)
    (tmp_path / "more/optimizer/mine.yaml").write_text("_target_: torch.optim.Rprop\nlr: 1\n")
    assert compose(["optimizer=mine"], config_dir="more").config["optimizer"]["lr"] == 1
    with pytest.raises(UserError, match="there is no folder 'nowhere'"):
        compose([], config_dir="nowhere")


def test_a_variable_that_is_not_set_is_told_with_its_key() -> None:
    with pytest.raises(UserError, match=r"data_root: .*NO_SUCH_VARIABLE"):
        compose(["data_root=${oc.env:NO_SUCH_VARIABLE}"])


def test_no_state_is_left_behind() -> None:
    before = version.getbase()
    compose(["mode=multitask"])
    assert not GlobalHydra.instance().is_initialized()
    assert not HydraConfig.initialized()
    assert version.getbase() is before


def test_an_outer_hydra_program_is_not_disturbed() -> None:
    with initialize_config_module("jlrun.conf", version_base="1.3"):
        compose(["mode=multitask"])
        assert hydra_compose("jlrun", ["mode=multimodal"]).mode == "multimodal"
