"""The page of a report in headless Chromium: no error, no request, both widths, light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jlrun.cli.main import main
from tests.runs.written_runs import EVIL, write_run, write_study, write_sweep

pytest.importorskip("plotly", reason="pages are written with Plotly: pip install 'jlrun[report]'")
playwright = pytest.importorskip(
    "playwright.sync_api", reason="pages are looked at with playwright: pip install playwright"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("there is no chromium to look at pages with", allow_module_level=True)


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    write_run(folder / "run", task=EVIL)
    write_sweep(folder / "sweep", {"equal": [0.85, 0.86], "pcgrad": [0.87, 0.88]})
    write_study(folder / "study")
    assert main(["report", str(folder)]) == 0
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1400, "light")])
def test_the_page_renders(page_file: Path, browser: Any, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, said, requested = context.new_page(), list[str](), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    page.goto(page_file.as_uri())
    for each in page.locator("details").all():
        each.evaluate("each => { each.open = true; each.scrollIntoView(); }")
    charts = page.locator(".plot")
    for number in range(charts.count()):
        charts.nth(number).scroll_into_view_if_needed()
        charts.nth(number).locator(".main-svg").first.wait_for(timeout=20_000)
    assert charts.count() >= 9
    assert said == []
    assert [url for url in requested if not url.startswith(("file:", "data:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    ink = page.locator(".ytick text").first.evaluate("text => getComputedStyle(text).fill")
    assert (_brightness(paper) < _brightness(ink)) == (scheme == "dark")
    assert (
        page.evaluate(
            "document.querySelectorAll('script').length - document.querySelectorAll("
            "'script[type=\"application/json\"]').length"
        )
        == 2
    )
    context.close()


def _brightness(colour: str) -> int:
    return sum(map(int, colour[colour.index("(") + 1 : -1].split(",")[:3]))
