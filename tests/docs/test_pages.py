"""The pages of the project: no placeholders, and every path that they name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/results/*.md")]
NAMES = sorted(str(page.relative_to(ROOT)) for page in PAGES)
PLACEHOLDER = re.compile(r"\b(RESULTS|TODO|FIXME|XXX|TBD|[Ll]orem)\b")
CODE = re.compile(r"`([^`\n]+)`")
# `jlrun/objective/terms/`, `tests/toy.py`, but no `jlrun/<room>/` and no `jlrun ls`
OWN_PATH = re.compile(r"(?:jlrun|tests|conf|docs|benchmarks)/[\w./-]*")
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]+)[^)]*\)")


def pages() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", NAMES)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def paths_in(text: str) -> set[str]:
    """Return the paths of the repository in the text's code."""
    return {path for code in CODE.findall(text) for path in code.split() if is_path(path)}


def is_path(text: str) -> bool:
    return OWN_PATH.fullmatch(text) is not None and not text.startswith("conf/")


@pages()
def test_nothing_is_left_to_fill_in(name: str) -> None:
    assert PLACEHOLDER.findall(text_of(name)) == []


@pages()
def test_links_lead_somewhere(name: str) -> None:
    folder = (ROOT / name).parent
    broken = [link for link in LINK.findall(text_of(name)) if not (folder / link).exists()]
    assert broken == []


@pytest.mark.parametrize("name", [name for name in NAMES if name != "CHANGELOG.md"])
def test_paths_exist(name: str) -> None:
    missing = sorted(p for p in paths_in(text_of(name)) if not (ROOT / p).exists())
    assert missing == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see `jlrun/data/specs.py` and `tests/toy.py`", {"jlrun/data/specs.py", "tests/toy.py"}),
        ("`python benchmarks/nothing.py OUT`", {"benchmarks/nothing.py"}),
        ("`jlrun/<room>/x.py`, jlrun/plain.py", set()),
    ],
)
def test_paths_are_found_in_code(text: str, found: set[str]) -> None:
    assert paths_in(text) == found
