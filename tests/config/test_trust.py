"""A config names only what lies in a trusted package, however it is spelt."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jlrun.config.trust import VARIABLE, also_trusting, find
from jlrun.errors import UserError


@pytest.fixture(autouse=True)
def _no_trust_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "pickle.loads",
        "my_package.Encoder",
        "torch.os.system",
        "torch.serialization.pickle.loads",
        "torch.serialization.os.path.join",
        "jlrun.data.datasets.digits.torch.os.system",
        "jlrun.errors.difflib.get_close_matches",
        "jlrun.config.trust.importlib.import_module",
        "jlrun.config.trust.import_module",
        "logging.os.system",
    ],
)
def test_what_lies_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(UserError):
        find(path)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("os.system", "'os.system' is not in a trusted package"),
        ("torch.os.system", "'torch.os.system' lies in 'os', which is not in a trusted package"),
        ("mine.Encoder", "to trust a package of yours, add --trust mine"),
        ("torch.optim.AdamX", "'torch.optim' has no 'AdamX'. Did you mean 'torch.optim.Adam'?"),
        ("torch.nn.modulse.Linear", "'torch.nn' has no 'modulse'. Did you mean 'torch.nn.module"),
        ("torch._C.Graph", "is private"),
        ("torch", "is not a dotted path"),
        ("torch.optim.", "is not a dotted path"),
        ("torch.nn", "neither a class nor a function"),
        ("torch.pi", "neither a class nor a function"),
    ],
)
def test_the_reason_is_told(path: str, reason: str) -> None:
    with pytest.raises(UserError) as raised:
        find(path)
    assert reason in str(raised.value)


def test_nothing_untrusted_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "harmful.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="not in a trusted package"):
        find("harmful.run")
    assert "harmful" not in sys.modules


def test_trusted_things_are_found() -> None:
    import torch

    from jlrun.tasks import Multiclass

    assert find("torch.optim.AdamW") is torch.optim.AdamW
    assert find("jlrun.tasks.Multiclass") is Multiclass


def test_an_own_package_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_parts.py").write_text("import os\nclass Part: ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    with also_trusting(["own_parts"]):
        assert find("own_parts.Part").__name__ == "Part"
        with pytest.raises(UserError, match="lies in 'os'"):
            find("own_parts.os.system")
    with pytest.raises(UserError, match="not in a trusted package"):
        find("own_parts.Part")
    monkeypatch.setenv(VARIABLE, "other, own_parts")
    assert find("own_parts.Part").__name__ == "Part"
    sys.modules.pop("own_parts")


def test_an_own_package_that_fails_to_import_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faulty_parts.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    with also_trusting(["faulty_parts", "absent_parts"]):
        with pytest.raises(UserError, match=r"importing 'faulty_parts' failed .ZeroDivisionError"):
            find("faulty_parts.Part")
        with pytest.raises(UserError, match="there is no package 'absent_parts' here"):
            find("absent_parts.Part")


def test_only_top_level_packages_can_be_trusted() -> None:
    with (
        pytest.raises(UserError, match="not the name of a top-level package"),
        also_trusting(["my.package"]),
    ):
        pass
