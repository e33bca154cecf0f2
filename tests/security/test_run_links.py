"""Files that a run writes are written into its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from jlrun.cli.main import main
from jlrun.errors import UserError
from jlrun.files.atomic import write_text
from jlrun.runs.saved_run import check_links


@pytest.mark.parametrize("name", ["log.txt", "metrics.csv", "result.json", "tb", "checkpoints/x"])
def test_a_run_with_a_link_to_elsewhere_is_not_resumed(
    name: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (run / "result.json").unlink()
    (run / name).unlink(missing_ok=True) if (run / name).is_file() else None
    (run / name).symlink_to(precious)
    assert main(["resume", str(run)]) == 2
    if name != "result.json":  # which is read first, and is no JSON
        assert f"{name}: is a link to '{precious}', outside of the run" in capsys.readouterr().err
    assert precious.read_text() == "mine"


def test_links_within_a_run_and_to_it_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "disk" / "run").mkdir(parents=True)
    (tmp_path / "disk" / "run" / "a").write_text("")
    (tmp_path / "disk" / "run" / "b").symlink_to("a")
    (tmp_path / "outputs").symlink_to(tmp_path / "disk")
    check_links(tmp_path / "outputs" / "run")
    check_links(tmp_path / "absent")
    (tmp_path / "disk" / "run" / "c").symlink_to(tmp_path)
    with pytest.raises(UserError, match="outside of the run"):
        check_links(tmp_path / "outputs" / "run")


def test_a_link_where_a_file_grows_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / ".result.json.new").symlink_to(precious)
    write_text(tmp_path / "result.json", "{}")
    assert precious.read_text() == "mine"
    assert (tmp_path / "result.json").read_text() == "{}"
    assert not (tmp_path / "result.json").is_symlink()


def test_what_a_file_holds_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mode=\x1b[2Jclear"]) == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert main(["resume", "no\x1b]0;title\x07run"]) == 2
    assert "no\\x1b]0;title\\x07run" in capsys.readouterr().err
