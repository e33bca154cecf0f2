"""Figures in README and docs that claim to be results are in the files of results.

In a section that links to files in `benchmarks/results`, every number with a decimal point in a
table or a paragraph must be in one of them. What is in code is not looked at.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RESULT = re.compile(r"\]\((?:\.\./)*(benchmarks/results/[\w-]+\.md)")
NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.])")
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
HEADING = re.compile(r"^#+ ", re.MULTILINE)


def strangers(page: str, read: dict[str, str]) -> list[str]:
    """Return the figures of a page's sections that are in none of the results they link to."""
    found = []
    for section in HEADING.split(page):
        results = {name for name in RESULT.findall(section) if name in read}
        if results:
            known = {number for name in results for number in NUMBER.findall(read[name])}
            figures = NUMBER.findall(CODE.sub("", section))
            found += [figure for figure in figures if figure not in known]
    return found


def results() -> dict[str, str]:
    files = (ROOT / "benchmarks/results").glob("*.md")
    return {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in files}


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES])
def test_figures_are_in_the_results_that_a_section_links_to(page: str) -> None:
    assert strangers((ROOT / page).read_text(encoding="utf-8"), results()) == []


def test_a_figure_from_nowhere_is_found() -> None:
    read = {"benchmarks/results/x.md": "| a | 71.2 ± 0.4 |"}
    link = "[x](../benchmarks/results/x.md)"
    page = (
        f"# One\n\n71.2 ± 0.4, `0.3`: {link}\n\n# Two\n\n71.9 ± 0.4 in {link}\n\n# Three\n\n9.9\n"
    )
    assert strangers(page, read) == ["71.9"]
