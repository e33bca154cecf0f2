"""Pages of the site that lie outside ``docs``: benchmark tables and files of the top folder."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOP = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "README.md": "index.md",
}
RESULTS = "benchmarks/results"
BENCHMARKS = "benchmarks"
LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)\s#]*)(#[^)\s]*)?(\))")
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
INTRO = """# Benchmarks

Measured with the commands that each page begins or ends with, on the machine that it names. Pages
and tables are the files of `benchmarks/results` as they are.

"""


def outside_pages() -> dict[str, str]:
    """Return address in the site -> Markdown of the files outside ``docs``."""
    names = dict(TOP)
    results = sorted((ROOT / RESULTS).glob("*.md"))
    names |= {f"{RESULTS}/{path.name}": f"{BENCHMARKS}/{path.name}" for path in results}
    pages = {address: in_site(_read(name), name, address) for name, address in names.items()}
    listed = [f"- [{_title(path)}]({path.name})" for path in results]
    return {f"{BENCHMARKS}/index.md": INTRO + "\n".join(listed) + "\n", **pages}


def outside_pictures() -> dict[str, Path]:
    """Return address in the site -> file of the pictures outside ``docs``."""
    return {f"{BENCHMARKS}/{path.name}": path for path in sorted((ROOT / RESULTS).glob("*.png"))}


def in_site(text: str, name: str, address: str) -> str:
    """Return the text of a file with links that hold in the site.

    Args:
        text: Markdown.
        name: of the file, from the top folder: ``docs/transfer.md``.
        address: of its page in the site: ``transfer.md``.
    """

    def moved(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[2]))
        found = posixpath.relpath(_address(target), posixpath.dirname(address) or ".")
        return f"{match[1]}{found}{match[3] or ''}{match[4]}"

    return LINK.sub(moved, text)


def _address(name: str) -> str:
    """Return the address in the site of a file of the repository."""
    if name in TOP:
        return TOP[name]
    if name == RESULTS:
        return f"{BENCHMARKS}/index.md"
    if name.startswith(f"{RESULTS}/"):
        return f"{BENCHMARKS}/{posixpath.basename(name)}"
    return name.removeprefix("docs/")


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _title(path: Path) -> str:
    found = TITLE.search(path.read_text(encoding="utf-8"))
    assert found is not None, path
    return found[1]
