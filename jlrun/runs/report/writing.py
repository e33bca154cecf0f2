"""File of a report: the template filled in, with style, scripts and data inside."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

from jlrun.extras import import_extra
from jlrun.files.atomic import write_text
from jlrun.runs.report.charts import plotly
from jlrun.runs.report.content import Page

EXTRA = "report"


def check_libraries() -> None:
    """Check that the libraries of reports are installed.

    Raises:
        UserError: if not, with the extra that brings them.
    """
    import_extra("jinja2", EXTRA, "report")
    plotly()


def write_page(page: Page, file: Path) -> None:
    """Write a page, atomically."""
    write_text(file, as_html(page))


def as_html(page: Page) -> str:
    """Return a page as HTML that needs no other file, and may load none.

    Names of tasks, classes and files are escaped; of scripts, the page runs its own two alone,
    known by their hashes.
    """
    jinja2: Any = import_extra("jinja2", EXTRA, "report")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["as_json"] = _as_json
    drawn = any(section.charts for section in (*page.lead, *page.runs))
    scripts = [_plotly_script(), _text("charts.js")] if drawn else []
    return environment.get_template("report.html").render(
        page=page,
        style=_text("report.css"),
        scripts=scripts,
        policy=_policy(scripts),
        few=len(page.runs) == 1,
    )


def _policy(scripts: list[str]) -> str:
    """Return a Content-Security-Policy that allows nothing but these scripts, and styles."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    allowed = f"script-src {hashes or chr(39) + 'none' + chr(39)}"
    return f"default-src 'none'; {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _plotly_script() -> str:
    """Return Plotly's script, which must not end the element that it stands in."""
    script: str = import_extra("plotly.offline", EXTRA, "report").get_plotlyjs()
    return script.replace("</script", "<\\/script").replace("\r", "")


def _as_json(figure: Any) -> Any:
    """Return a figure as JSON within an element ``script``; numbers that are none are null."""
    dumps = import_extra("jinja2.utils", EXTRA, "report").htmlsafe_json_dumps
    to_json = import_extra("plotly.io", EXTRA, "report").to_json
    return dumps(figure, dumps=lambda content: to_json(content, validate=False))


def _text(name: str) -> str:
    folder = resources.files("jlrun.runs.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")
