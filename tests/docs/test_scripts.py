"""Programs in the pages run as they stand: in plain Python, and in a real Jupyter kernel."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

import jlrun
from jlrun.models.fusions import Gated
from jlrun.objective.terms import L2
from jlrun.objective.weightings import PCGrad
from jlrun.tasks import Binary

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LONGEST = 20  # lines of a program, blank ones aside
QUICK = ', "epochs=2", "references=false", "baselines=false", "recorder.tensorboard=false"'
TITLES = ("own table", "own loop")


def programs(page: str) -> list[str]:
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def num_lines(program: str) -> int:
    return sum(bool(line.strip()) for line in program.splitlines())


OWN_LOOP = programs("docs/own_loop.md")
README = dict(zip(TITLES, programs("README.md"), strict=True))


def quick_table() -> str:
    program, count = re.subn('(?<="mode=multitask")', QUICK, README["own table"])
    assert count == 1
    return program


def test_they_are_as_short_as_they_should_be() -> None:
    assert num_lines(README["own table"]) <= 12
    assert len(OWN_LOOP) == 4
    assert all(num_lines(program) <= LONGEST for program in (README["own loop"], *OWN_LOOP))


@pytest.mark.parametrize("number", range(len(OWN_LOOP)))
def test_a_loop_of_ones_own_learns(number: int) -> None:
    torch.manual_seed(0)
    namespace: dict[str, object] = {"__name__": "__main__"}
    exec(OWN_LOOP[number], namespace)


def test_the_loop_of_the_readme_learns_both_tasks() -> None:
    torch.manual_seed(0)
    namespace: dict[str, dict[str, torch.Tensor]] = {}
    exec(README["own loop"], namespace)  # pyright: ignore[reportArgumentType]
    assert all(loss.item() < 0.5 for loss in namespace["losses"].values())


class MyNet(nn.Module):
    def __init__(self, spec: object, width: int = 8, layers: int = 1) -> None:
        super().__init__()
        self.out_features = width


def test_the_page_on_python_passes_what_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"size": [0.1 * i for i in range(60)], "kind": list("abc") * 20}
    frame = pd.DataFrame(table).assign(price=lambda x: 3 * x["size"])
    monkeypatch.setattr(jlrun, "run", jlrun.check)
    _, _, frames, classes, _, plain_data, *_ = programs("docs/python.md")
    namespace = {"jlrun": jlrun, "frame": frame, "plenty": frame, "few": frame.head(30)}
    exec(frames, namespace)
    mine = {"MyNet": MyNet, "MyWaves": MyNet, "MyFusion": Gated, "MyWeighting": PCGrad}
    exec(classes, {"jlrun": jlrun, "MyTerm": L2, **mine})
    exec(plain_data, {"jlrun": jlrun, "torch": torch, "Binary": Binary, "__name__": __name__})


def test_the_page_on_python_follows_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = ["dataset.limit=64", "epochs=1", "baselines=false", "recorder.figures=false"]
    train = jlrun.run
    monkeypatch.setattr(jlrun, "run", lambda given, **more: train([*given, *quick], **more))
    _, follow, *_ = programs("docs/python.md")
    exec(follow, {"jlrun": jlrun})
    assert re.search(r"^main 1 0\.\d+$", capsys.readouterr().out, re.MULTILINE)


def test_the_table_of_the_readme_in_plain_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "script.py").write_text(quick_table(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path("script.py", run_name="__main__")
    printed = capsys.readouterr().out
    assert re.search(r"^alcohol +r2 ", printed, re.MULTILINE), printed
    assert "[28 rows x 8 columns]" in printed
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_both_of_the_readme_in_a_notebook(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
    pytest.importorskip("ipykernel", reason="needs nbclient and ipykernel")
    nbformat = pytest.importorskip("nbformat")
    texts = (quick_table(), README["own loop"], "run", "run.table()", "run.figure('curves')")
    cells = [nbformat.v4.new_code_cell(text) for text in texts]
    notebook = nbformat.v4.new_notebook(cells=cells)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, resources=resources).execute()
    _, losses, run, table, figure = (cell.outputs[-1] for cell in notebook.cells)
    assert "'digit': tensor(" in losses["text"]
    assert "alcohol r2" in run["data"]["text/html"]
    assert "alcohol" in table["data"]["text/html"]
    assert "image/png" in figure["data"]
