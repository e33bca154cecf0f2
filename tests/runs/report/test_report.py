"""``jlrun report``: what the page holds, and that strangers' names stay text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from jlrun.cli.main import main
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.metrics_csv import Curve
from jlrun.runs.listing.found import find_runs
from jlrun.runs.report.curves import thinned
from jlrun.runs.report.page import MOST_DRAWN, page_of
from jlrun.runs.report.sweep_section import sweep_section
from tests.runs.written_runs import EVIL, write_run, write_study, write_sweep

pytest.importorskip("plotly", reason="pages are written with Plotly: pip install 'jlrun[report]'")
pytest.importorskip("jinja2", reason="pages are written with Jinja2: pip install 'jlrun[report]'")


class Page(HTMLParser):
    """Elements of a page: names of tags, texts of scripts, text without them."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags, self.scripts, self.links = list[str](), list[tuple[str, str]](), list[str]()
        self._texts, self._kind = list[str](), None
        self.feed(file.read_text(encoding="utf-8"))

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self._kind = (values.get("type") or "code") if tag == "script" else tag
        self.links += [v for k, v in attrs if k in ("src", "href") and v]

    def handle_endtag(self, tag: str) -> None:
        self._kind = None

    def handle_data(self, data: str) -> None:
        if self._kind in ("code", "application/json"):
            self.scripts.append((self._kind, data))
        elif self._kind != "style":
            self._texts.append(data)


def written(folder: Path, *args: str) -> Page:
    assert main(["report", str(folder), *args]) == 0
    return Page(folder / "report.html")


def test_a_run_has_question_verdict_scores_setup_and_command(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 0.9, overrides=("mode=multitask", "tasks=[a, b]"))
    packages = {"python": "3.11", "packages": {"torch": "9.9"}, "device": "cpu"}
    classes = {"0": {"precision": None, "recall": 0.0, "f1": 0.0, "rows": 5}}  # never predicted
    content = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text(json.dumps({**content, "per_class": {"digit": classes}}))
    (run / "environment.json").write_text(json.dumps(packages))
    (run / "splits.csv").write_text("data,file,place,split\ndataset,,0,train\ndataset,,1,test\n")
    page = written(run)
    for part in (
        "Does multi-task learning help on digit?",
        "Multi-task learning helps: digit accuracy 0.900 vs 0.800 with its own model",
        "0.900 ± 0.020",
        "0 - 0.000 0.000 5",
        "dataset: 1 train, 1 test",
        "weighting=equal",
        "torch 9.9",
        "jlrun mode=multitask 'tasks=[a, b]'",
    ):
        assert part in page.text
    figures = [json.loads(text) for kind, text in page.scripts if kind == "application/json"]
    gains, curves = figures
    assert gains["data"][0]["x"] == [pytest.approx(12.5)]
    assert gains["data"][0]["error_x"]["array"] == [pytest.approx(7.5)]
    assert next(t["y"] for t in curves["data"] if t["yaxis"] == "y2") == [0.5, 0.9]


def test_the_page_loads_nothing_and_runs_its_own_scripts_alone(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    page = written(tmp_path / "run")
    assert all(link.startswith(("#", "data:")) for link in page.links)
    text = (tmp_path / "run" / "report.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    allowed = unescape(policy[1])
    code = [script for kind, script in page.scripts if kind == "code"]
    assert len(code) == 2
    assert "default-src 'none'" in allowed
    for script in code:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in allowed


def test_names_of_strangers_are_text(tmp_path: Path) -> None:
    evil = write_run(tmp_path / "a" / "evil", task=EVIL, overrides=(f"dataset.path={EVIL}",))
    failed = {"status": "failed", "error": f"ValueError: {EVIL}", "overrides": [EVIL]}
    (write_run(tmp_path / "a" / "failed") / "result.json").write_text(json.dumps(failed))
    classes = {EVIL: {"precision": 1.0, "recall": 1.0, "f1": 1.0, "rows": 1}}
    write_run(tmp_path / "a" / "classes", per_class={"digit": classes})
    heads = {"digit": {"kind": {"_target_": EVIL}, "classes": [EVIL, "</script>"]}}
    RunDirectory(evil).model.write_text(json.dumps({"heads": heads}))
    write_study(tmp_path / "a" / "study", sentences=(f"{EVIL} helps.",))
    page = written(tmp_path / "a")
    assert page.tags.count("script") == 2 + sum(k == "application/json" for k, _ in page.scripts)
    assert page.text.count(EVIL) >= 8
    figures = [text for kind, text in page.scripts if kind == "application/json"]
    assert any("alert" in figure for figure in figures)
    for figure in figures:
        assert "<" not in figure
        assert "<script" not in json.dumps(json.loads(figure)), "Plotly reads labels as HTML"


@pytest.mark.parametrize(
    ("equal", "said"),
    [
        ([0.85, 0.862, 0.869], "the best differs significantly from all others"),
        ([0.90, 0.80, 0.91], "none differs significantly from the best"),
        ([0.85, 0.86, 0.87], "there is no spread between seeds"),
    ],
)
def test_the_best_variant_is_tested_over_seeds(
    equal: list[float], said: str, tmp_path: Path
) -> None:
    """The third has the same difference with every seed, of which nothing can be said."""
    write_sweep(tmp_path / "sweep", {"equal": equal, "pcgrad": [0.87, 0.88, 0.89]})
    (sweep,) = find_runs(tmp_path)
    sentences = sweep_section(sweep, "sweep", "a").sentences
    assert sentences[0].startswith("pcgrad is the best on validation")
    assert said in sentences[1]


def test_groups_failures_and_damage_are_stated_in_a_line_each(tmp_path: Path) -> None:
    write_sweep(tmp_path / "sweep", {"equal": [0.85, 0.86], "pcgrad": [0.87, 0.88]})
    write_study(tmp_path / "study")
    (write_run(tmp_path / "killed") / "result.json").unlink()
    (write_run(tmp_path / "torn") / "metrics.csv").write_text("nonsense\n")
    (write_run(tmp_path / "damaged") / "result.json").write_text("{")
    write_run(tmp_path / "odd", gain={"against": "x", "per_task": {"digit": "much"}})
    (write_run(tmp_path / "none", baselines={}, gain=None)).joinpath("metrics.csv").unlink()
    page = written(tmp_path)
    for part in (
        "Which weighting is best?",
        "pcgrad is the best on validation: val/mean_score 0.875 ± 0.007.",
        "equal is 0.020 behind; 2 seeds do not say whether others would agree.",
        "jlrun --multirun weighting=equal,pcgrad mode=multitask seed=0,1",
        "Does learning jointly help, where, and how much?",
        "Both tasks gain.",
        "+0.100 ▲",
        "sweep/3 weighting=pcgrad seed=1 completed",
        "jlrun study dataset=digits study.budget=2runs",
        "killed unfinished",
        "it does not begin with the line",
        "This run has no baselines, so that it shows no gain.",
    ):
        assert part in page.text
    assert re.search(r"damaged damaged: \S+/damaged/result.json: is damaged", page.text)
    assert re.search(r"odd damaged: ", page.text)


def test_many_runs_make_a_bounded_page_that_says_what_it_leaves_out(tmp_path: Path) -> None:
    for number in range(60):
        write_run(tmp_path / f"{number:02}", 0.8 + number / 1000)
    page = page_of(find_runs(tmp_path), tmp_path)
    assert sum(bool(section.charts) for section in page.runs) == MOST_DRAWN
    (lead,) = page.lead
    assert len(lead.tables[0].rows) == len(page.runs) == 60
    assert lead.notes == (
        "Curves are those of the 12 runs that are best on validation.",
        "Curves are thinned to 60 points.",
        "Bars, and figures of single runs, are of the first 40 of 60 runs.",
    )
    curve = Curve("main", "train", "x", list(range(1000)), [float(i) for i in range(1000)])
    assert [chart.wide for chart in lead.charts] == [False, True]
    steps, values = thinned(curve, 60)
    assert (len(steps), steps[0], steps[-1]) == (60, 0, 999)
    assert values == steps
    assert thinned(curve, 1000)[0] == curve.steps


def test_an_empty_folder_has_a_page_and_what_is_wrong_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = written(tmp_path)
    assert "There is no run here yet." in page.text
    assert page.scripts == []
    for args, message in (
        (["nowhere"], "nowhere: there is no such folder"),
        ([str(tmp_path), "--output", "x.pdf"], "--output: 'x.pdf' is no .html"),
    ):
        assert main(["report", *args]) == 2
        assert capsys.readouterr().err.startswith(f"jlrun: {message}")


def test_a_cross_validation_leads_its_folds(tmp_path: Path) -> None:
    write_run(tmp_path / "folded", 0.9)
    for fold in range(2):
        write_run(tmp_path / "folded" / "folds" / str(fold), 0.8 + fold / 10)
    page = page_of(find_runs(tmp_path / "folded"), tmp_path / "folded")
    assert [section.title for section in page.lead] == ["folded", "All runs"]
    assert [section.title for section in page.runs] == ["folds/0", "folds/1"]
    assert page.title == "Does multi-task learning help on digit?"


def test_several_runs_are_one_page_where_output_says(tmp_path: Path) -> None:
    runs = [str(write_run(tmp_path / name)) for name in ("a", "b")]
    file = tmp_path / "new" / "page.html"
    assert main(["report", *runs, "--output", str(file)]) == 0
    assert {"a", "b"} <= set(Page(file).text.split())


def test_a_missing_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "plotly.graph_objects", None)
    assert main(["report", str(tmp_path)]) == 2
    assert "pip install 'jlrun[report]'" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_a_sweep_names_no_best_by_test_scores_or_across_problems(tmp_path: Path) -> None:
    for number, data in enumerate(("digits", "shapes")):
        overrides = ("mode=multitask", f"dataset={data}")
        write_run(tmp_path / "sets" / str(number), 0.8 + number / 10, overrides)
        write_run(tmp_path / "last" / str(number), 0.8, (f"seed={number}",), objective=None, val={})
    for name in ("sets", "last"):
        (tmp_path / name / "multirun.yaml").write_text("{}")
    sets, last = ({e.directory.name: e for e in find_runs(tmp_path)}[n] for n in ("sets", "last"))
    single = "has no other variant to compare with (mode=multitask dataset="
    assert sweep_section(sets, "sets", "x").sentences == (
        f"digits {single}digits): val/mean_score 0.800.",
        f"shapes {single}shapes): val/mean_score 0.900.",
    )
    unselected = ("There is no validation score to choose a variant by.",)
    assert sweep_section(last, "last", "x").sentences == unselected
