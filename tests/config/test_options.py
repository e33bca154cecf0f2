"""Groups and options on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from jlrun.config.options import (
    LONGEST,
    describe,
    package_folder,
    read_groups,
    shadowed,
    user_folders,
)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("# what it is\na: 1\n", "what it is"),
        ("# @package _global_\n# what it is\na: 1\n", "what it is"),
        ("\n#\n# what it is\n", "what it is"),
        ("a: 1\n# too late\n", ""),
        ("", ""),
    ],
)
def test_the_first_comment_describes_an_option(tmp_path: Path, text: str, description: str) -> None:
    assert describe(_write(tmp_path / "x.yaml", text)) == description


def test_groups_of_two_folders_are_one(tmp_path: Path) -> None:
    ours, own = tmp_path / "ours", tmp_path / "own"
    _write(ours / "main.yaml", "")
    _write(ours / "a/b/one.yaml", "# first")
    _write(ours / "a/b/_part.yaml", "")
    _write(own / "a/b/one.yaml", "# hidden")
    _write(own / "a/b/two.yaml", "# second")
    _write(own / "hydra/launcher/mine.yaml", "")
    groups = read_groups([ours, own])
    assert {name: list(options) for name, options in groups.items()} == {"a/b": ["one", "two"]}
    assert groups["a/b"]["one"].description == "first"


def test_the_folder_of_the_package_is_not_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(package_folder().parent)
    assert user_folders() == []
    monkeypatch.chdir(tmp_path)
    assert user_folders() == []
    (tmp_path / "conf").mkdir()
    (tmp_path / "more").mkdir()
    assert user_folders("more") == [tmp_path / "conf", tmp_path / "more"]


def test_own_files_without_effect_are_found(tmp_path: Path) -> None:
    hidden = _write(tmp_path / "optimizer/adamw.yaml", "")
    _write(tmp_path / "optimizer/mine.yaml", "")
    assert shadowed([tmp_path]) == [hidden]


def test_an_overlong_description_is_cut(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"# one {'word ' * 1000}\na: 1\n")
    assert describe(file).startswith("one word")
    assert describe(file).endswith(" …")
    assert len(describe(file)) <= LONGEST
