"""Hooks of MkDocs: add the generated pages, and make links into the repository hold in the site.

They are found from the top folder: ``python -m mkdocs build --strict``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs_site import configuration, outside, python_reference


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add what is generated to the navigation, and pages that it does not name."""
    nav = list(config.nav or [])
    named = set(_named(nav))
    docs = Path(config.docs_dir)
    found = sorted(path.relative_to(docs).as_posix() for path in docs.rglob("*.md"))
    more = [name for name in found if name not in named]
    nav += [{"More": more}] if more else []
    pages = {title: list(found) for title, found in _generated().items()}
    reference = [{title: pages.pop(title)} for title in ("Configuration", "Python")]
    pages["Project"] = [name for name in pages["Project"] if name not in named]
    nav += [{title: names} for title, names in pages.items()]
    nav.insert(-1, {"Reference": reference})
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and the pictures of tables."""
    for pages in _generated().values():
        for address, text in pages.items():
            files.append(File.generated(config, address, content=text))
    for address, path in outside.outside_pictures().items():
        files.append(File.generated(config, address, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let links of a page of ``docs`` that lead out of it lead to pages of the site."""
    if page.file.generated_by is not None:
        return markdown
    address = page.file.src_uri
    return outside.in_site(markdown, f"docs/{address}", address)


def _generated() -> dict[str, dict[str, str]]:
    """Return section of the navigation -> address -> Markdown."""
    of_files = outside.outside_pages()
    tables = {name: text for name, text in of_files.items() if "/" in name}
    return {
        "Benchmarks": tables,
        "Configuration": configuration.configuration_pages(),
        "Python": python_reference.python_pages(),
        "Project": {name: text for name, text in of_files.items() if name not in tables},
    }


def _named(nav: Any) -> list[str]:
    """Return the addresses that a navigation names."""
    if isinstance(nav, str):
        return [nav]
    values = nav.values() if isinstance(nav, dict) else nav
    return [name for value in values for name in _named(value)]
