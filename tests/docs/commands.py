"""Commands of jlrun in the pages: those in blocks without a language, or of a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXTENDING = "docs/extending/"  # whose commands tests/docs/test_extending.py runs


def commands() -> dict[str, list[str]]:
    """Return text without comment -> arguments, of each command once."""
    found: dict[str, list[str]] = {}
    for page in PAGES:
        if not page.relative_to(ROOT).as_posix().startswith(EXTENDING):
            for line in _lines(page.read_text(encoding="utf-8")):
                _, *arguments = shlex.split(line, comments=True)
                found[" ".join(arguments)] = arguments
    return found


def trains(arguments: list[str]) -> bool:
    """Whether a command has no verb."""
    return "=" in arguments[0] or arguments[0].startswith("--")


def _lines(text: str) -> Iterator[str]:
    for language, block in BLOCK.findall(text):
        lines = block.replace("\\\n", " ").splitlines() if language in ("", "bash") else []
        # with `$`, the lines below are what a command prints
        shown = any(line.startswith("$ ") for line in lines)
        for line in lines:
            if line.startswith("$ jlrun " if shown else "jlrun "):
                yield line.removeprefix("$ ")
