"""Generator of the site's reference: every option and key of ``conf``, and links that hold."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

import pytest
import yaml

from docs_site.outside import in_site, outside_pages, outside_pictures
from docs_site.yaml_file import NO_KEYS, TARGET, Key, read_config

pytest.importorskip("griffe", reason="needs the extra docs")

from docs_site.configuration import CONF, configuration_pages
from docs_site.python_reference import python_pages

PAGES = configuration_pages()
FILES = [p for p in sorted(CONF.rglob("*.yaml")) if "hydra" not in p.parts]


def test_keys_have_their_defaults_and_comments_as_written(tmp_path: Path) -> None:
    text = """# a part
defaults: [_base, _self_]
_target_: jlrun.x.Y
rate: 1.0e-3            # of steps, see x#y
name: 'a # b'
more:
  sizes: [1, 2]         # first line,
                        # second line
  none: null
"""
    (tmp_path / "part.yaml").write_text(text, encoding="utf-8")
    file = read_config(tmp_path / "part.yaml")
    assert file.keys == (
        Key("rate", "1.0e-3", "of steps, see x#y"),
        Key("name", "'a # b'", ""),
        Key("more.sizes", "[1, 2]", "first line, second line"),
        Key("more.none", "null", ""),
    )
    assert file.targets == ["jlrun.x.Y"]
    assert file.defaults == ["_base"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(CONF).as_posix())
def test_every_option_and_key_is_in_its_page(path: Path) -> None:
    group = path.parent.relative_to(CONF).as_posix()
    page = PAGES[f"reference/configuration/{group.replace('/', '_').replace('.', 'index')}.md"]
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if group == "experiment":
        assert path.read_text(encoding="utf-8").strip() in page
        return
    assert path.stem in page
    prefix = "" if read_config(path).package or group == "." else f"{group.replace('/', '.')}."
    for key, value in content.items():
        if key not in (*NO_KEYS, TARGET) and list(value if isinstance(value, dict) else ()) != [
            TARGET
        ]:
            assert f"`{prefix}{key}" in page


def test_an_option_has_the_paper_and_the_words_of_its_class() -> None:
    page = PAGES["reference/configuration/weighting.md"]
    section = page.split("## `weighting=mgda`")[1].split("\n## ")[0]
    assert "Sener & Koltun" in section
    assert "NeurIPS 2018" in section
    assert "| `weighting.normalize` | `none` | of gradients while weights are found" in section
    assert "(#keys-of-several-options-_gradients)" in section
    dwa = page.split("## `weighting=dwa`")[1].split("\n## ")[0]
    assert "| `weighting.temperature` | `2.0` |" in dwa


def test_links_out_of_docs_lead_to_pages_of_the_site() -> None:
    text = "[a](../benchmarks/results/fsdd.md#x) [b](../CONTRIBUTING.md) [c](tables.md) [d](#e)"
    found = in_site(text, "docs/transfer.md", "transfer.md")
    assert found == "[a](benchmarks/fsdd.md#x) [b](contributing.md) [c](tables.md) [d](#e)"
    found = in_site("![p](docs/missing.png) [q](benchmarks/results)", "README.md", "index.md")
    assert found == "![p](missing.png) [q](benchmarks/index.md)"


def test_benchmark_pages_are_the_files_as_they_are() -> None:
    results = CONF.parent / "benchmarks" / "results"
    pages = outside_pages()
    for path in results.glob("*.md"):
        lines = path.read_text(encoding="utf-8").splitlines()
        table = [line for line in lines if line.startswith("|")]
        assert set(table) <= set(pages[f"benchmarks/{path.name}"].splitlines())


def test_pictures_of_all_pages_are_in_the_site() -> None:
    docs = CONF.parent / "docs"
    names = {str(path.relative_to(docs)): path for path in docs.rglob("*.md")}
    pages = outside_pages() | {
        name: in_site(path.read_text(encoding="utf-8"), f"docs/{name}", name)
        for name, path in names.items()
    }
    for address, text in pages.items():
        for picture in re.findall(r"!\[[^\]]*\]\(([^)]+\.png)\)", text):
            found = posixpath.normpath(posixpath.join(posixpath.dirname(address), picture))
            assert found in outside_pictures() or (docs / found).is_file(), (address, picture)


def test_python_pages_name_what_packages_export() -> None:
    page = python_pages()["reference/python/jlrun.objective.weightings.md"]
    assert "- PCGrad" in page


def test_a_part_that_an_option_takes_is_a_key() -> None:
    page = PAGES["reference/configuration/balance.md"]
    assert "| `balance.weighting._target_` |" in page
