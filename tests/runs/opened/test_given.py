"""Objects in the place of names: frames as data sets, classes of a program as parts of a run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch import Tensor, nn
from torch.utils import data

import jlrun
from jlrun.cli.main import main
from jlrun.config import given
from jlrun.data import Dataset, ImageSpec, TabularSpec, TensorRows
from jlrun.errors import UserError
from jlrun.models.fusions import Single
from jlrun.objective.terms import StepView, Term
from jlrun.objective.weightings import Equal, PCGrad, TaskLosses
from jlrun.tasks import Binary, Multiclass

QUIET = (
    *("mode=multitask", "engine.threads=1", "recorder.progress=none", "recorder.figures=false"),
    *("recorder.tensorboard=false", "baselines=false", "references=false", "epochs=1"),
)


def rows(count: int = 60) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    size, kind = generator.normal(size=count).round(3), generator.choice(["a", "b"], count)
    label = np.where(size > 0, "01", "02")
    frame = pd.DataFrame({"size": size, "kind": kind, "label": label, "price": 3 * size})
    return frame.set_index(np.arange(count) + 1000)


TARGETS = {"label": "binary", "price": "regression"}


class Net(nn.Module):
    """Network of one layer."""

    def __init__(self, spec: ImageSpec, width: int = 8, names: tuple[str, ...] = ("x",)) -> None:
        super().__init__()
        inputs = spec.channels * spec.height * spec.width
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(inputs, width), nn.ReLU())
        self.out_features = width

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Small(Term):
    """Mean square of the features."""

    def __init__(self, weight: float = 0.5, power: int = 2) -> None:
        super().__init__()
        self.weight, self.power = weight, power

    def forward(self, view: StepView) -> Tensor:
        return torch.cat([o.fused for o in view.outputs.values()]).pow(self.power).mean()


class Stopping(Equal):
    """Sum of the losses, in whose third step the user presses Ctrl-C."""

    steps = 0

    def forward(self, losses: TaskLosses) -> Tensor:
        type(self).steps += 1
        if type(self).steps == 3:
            signal.raise_signal(signal.SIGINT)
        return super().forward(losses)


def test_a_frame_is_a_table_that_the_run_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = rows()
    run = jlrun.run([*QUIET, "hydra.run.dir=a run"], dataset={"table": frame, "targets": TARGETS})
    frame.to_parquet("rows.parquet", index=False)
    text = "dataset.targets={label: binary, price: regression}"
    file = ["dataset=table", "dataset.path=rows.parquet", text, "hydra.run.dir=file"]
    assert run.test == jlrun.run([*QUIET, *file]).test
    kept = tmp_path / "a run" / "inputs" / "dataset.parquet"
    pd.testing.assert_frame_equal(pd.read_parquet(kept), frame.reset_index(drop=True))
    assert run.config["dataset"]["path"] == str(kept)
    assert f'dataset.path="{kept}"' in yaml.safe_load((run.path / "overrides.yaml").read_text())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = run.predict(frame.drop(columns=["label", "price"]).tail(3))
    assert found.index.tolist() == [1057, 1058, 1059]
    assert main(["evaluate", str(run.path), "--output", "scores.json"]) == 0
    assert json.loads(Path("scores.json").read_text())["test"] == run.test
    (tmp_path / "a run").rename(tmp_path / "moved")
    run = jlrun.load(tmp_path / "moved")
    assert isinstance(run, jlrun.Run)
    longer = run.resume(epochs=2)
    assert longer.curves["epoch"].max() == 2
    assert longer.table()["metric"].tolist() == ["accuracy", "r2"]
    row = longer.table().loc["label"]
    assert row["low"] <= row["joint"] == longer.test["label"]["accuracy"] <= row["high"]


def test_frames_of_all_types_and_of_several_data_sets() -> None:
    frame = rows().assign(
        day=pd.date_range("2020-01-01", periods=60),
        yes=[True, False] * 30,
        count=pd.array([1, None] * 30, dtype="Int64"),
        group=pd.Categorical(["x", "y", "z"] * 20),
        mixed=[1, "two", None] * 20,
    )
    small = frame.head(20)
    setting = {
        "table": frame,
        "test_path": small,
        "targets": ["price"],
        "columns": {"mixed": "text"},
    }
    config = jlrun.check(
        ["mode=transfer"], source={"table": frame, "targets": ["price"]}, target=setting
    )
    assert Path(config["source"]["path"]).name == "source.parquet"
    assert Path(config["target"]["test_path"]).name == "target_test.parquet"
    kinds = {"yes": "category", "group": "category", "day": "date", "mixed": "text"}
    assert kinds.items() <= config["target"]["columns"].items()
    with pytest.raises(UserError, match=r"^source\.targets: .*'prize'"):
        jlrun.check(
            ["mode=transfer"], source={"table": frame, "targets": ["prize"]}, target=setting
        )


def test_nothing_stays_of_a_run_that_is_refused(tmp_path: Path) -> None:
    frame = rows().astype({"size": object})
    frame.iloc[1, 0] = "x"
    setting = {"table": frame, "targets": TARGETS, "columns": {"size": "number"}}
    with pytest.raises(UserError, match="the frame") as caught:
        jlrun.run([*QUIET, f"hydra.run.dir={tmp_path / 'run'}"], dataset=setting)
    assert "row 2: size is 'x'" in str(caught.value)
    assert "parquet" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_classes_stand_where_a_config_has_names(tmp_path: Path) -> None:
    run = jlrun.run(
        [*QUIET, "dataset.limit=60", "backbone.image.width=6", f"hydra.run.dir={tmp_path / 'run'}"],
        backbone={"image": partial(Net, names=("a", "b"))},
        weighting=PCGrad,
        terms={"small": partial(Small, weight=0.25)},
        optimizer=partial(torch.optim.Adagrad, lr=0.02),
    )
    config = run.config
    here = "tests.runs.opened.test_given"
    assert config["backbone"]["image"] == {
        "_target_": f"{here}.Net",
        "width": 6,
        "names": ["a", "b"],
    }
    small = {"_target_": f"{here}.Small", "weight": 0.25, "power": 2}
    assert config["terms"] == {"small": small}
    assert config["weighting"]["_target_"] == "jlrun.objective.weightings.PCGrad"
    assert config["weighting"]["gradients"] == "features"
    assert config["optimizer"] == {"_target_": "torch.optim.Adagrad", "lr": 0.02} | {
        key: value for key, value in config["optimizer"].items() if key not in ("_target_", "lr")
    }
    tags = set(run.curves["tag"])
    assert "train/small/loss" in tags
    model = run.load_model()
    images = torch.rand(5, 1, 8, 8)
    assert model({"image": images})["digit"].shape == (5, 10)
    assert model.encode({"image": images}).shape == (5, 6)


def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stopping, "steps", 0)
    options = [*QUIET[:-1], "epochs=2", "dataset.limit=200"]
    with pytest.raises(jlrun.Interrupted) as caught:
        jlrun.run([*options, f"hydra.run.dir={tmp_path / 'run'}"], weighting=Stopping)
    call = f"jlrun.load('{tmp_path / 'run'}').resume()"
    assert str(caught.value) == f"interrupted; to go on: {call}"
    assert jlrun.load(tmp_path / "run").status == "interrupted"  # pyright: ignore[reportAttributeAccessIssue]
    resumed = eval(call)
    whole = jlrun.run([*options, f"hydra.run.dir={tmp_path / 'whole'}"], weighting=Equal)
    assert resumed.status == "completed"
    assert resumed.test == whole.test


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"seed": 1}, r"^seed: no object can stand there; values are overrides, as in .*'seed=1'"),
        ({"wieghting": PCGrad}, r"^wieghting: .*Did you mean 'weighting'\?"),
        ({"backbone": Net}, r"^backbone: has a part for each name: backbone=\{'image': MyNet\}"),
        (
            {"weighting": PCGrad(("a",))},
            r"^weighting: an object of type PCGrad, .*: give the class",
        ),
        (
            {"backbone": {"image": partial(Net, 3)}},
            r"^backbone\.image: .* partial\(Net, width=64\)",
        ),
        (
            {"backbone": {"image": partial(Net, width=set())}},
            r"^backbone\.image\.width: .*type set",
        ),
        ({"weighting": Net}, r"^weighting\._target_: '.*Net' is not a weighting"),
        ({"terms": {"l2": "l2"}}, r"^terms\.l2: 'l2' is an option: terms=\[l2\]"),
        ({"dataset": rows().head(0)}, r"^dataset: the frame has no row"),
        ({"dataset": 3}, r"^dataset: expected a frame of pandas .*, not a int"),
        ({"dataset": {"frame": rows()}}, r"^dataset: holds no data: .*\{'table': frame\}"),
        ({"dataset": rows().set_axis(list("aabc"), axis=1)}, r"^dataset: .* several columns 'a'"),
        ({"optimizer": "adan"}, r"^optimizer: there is no option 'adan'"),
    ],
)
def test_what_is_wrong_is_one_line(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        jlrun.check(["mode=multitask"], **parts)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jlrun.run("mode=multitask"), r"overrides: give a list of texts"),
        (lambda: jlrun.run([], trust="torch"), r"trust: .*as in \['torch'\]"),
        (lambda: jlrun.run(["mode=multitask", "seed=0,1"]), r"jlrun\.sweep runs one job for each"),
        (
            lambda: jlrun.check(["mode=multitask", "fusion._target_=mine.Net"]),
            r"pass trust=\['mine'\]",
        ),
        (lambda: jlrun.check([], config_dir="nowhere"), r"config_dir: there is no folder"),
        (lambda: jlrun.ls("fusions"), r"there is no group 'fusions'\. Did you mean 'fusion'"),
        (lambda: jlrun.load(".", parts=["Net"]), r"parts: expected classes .*, not a str"),
    ],
)
def test_errors_name_arguments_of_python(call: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        call()
    assert "--" not in str(caught.value)


def load_noise() -> Dataset:
    """Return 40 rows of noise."""
    generator = torch.Generator().manual_seed(0)
    cells = torch.randn(40, 2, generator=generator, dtype=torch.float64)
    spec = TabularSpec(numbers=("a", "b"), mean=(0.0, 0.0), std=(1.0, 1.0))
    held = TensorRows({"tabular": cells}, {"sign": (cells[:, 0] > 0).long()})
    return Dataset(held, {"tabular": spec}, {"sign": ("minus", "plus")})


def test_a_function_is_a_data_set(tmp_path: Path) -> None:
    mine = {"_target_": load_noise, "tasks": {"sign": Binary}, "modalities": ["tabular"]}
    run = jlrun.run([*QUIET, f"hydra.run.dir={tmp_path / 'run'}"], dataset=mine, fusion=Single)
    assert run.config["dataset"]["_target_"] == f"{__name__}.load_noise"
    assert run.config["dataset"]["tasks"]["sign"]["_target_"] == "jlrun.tasks.Binary"
    assert len(run.predictions) == 8


def load_pairs() -> tuple[Tensor, Tensor]:
    """Return 60 pictures whose brightness is their class."""
    label = torch.arange(60) % 2
    return (0.2 + 0.5 * label)[:, None, None, None].expand(60, 1, 6, 6), label


class Pictures(data.Dataset[tuple[Tensor, int]]):
    """The same pictures, one at a time."""

    def __init__(self, count: int = 60) -> None:
        self.images, self.labels = (column[:count] for column in load_pairs())

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.images[row], int(self.labels[row])


@pytest.mark.parametrize("target", [load_pairs, Pictures])
def test_plain_objects_are_a_data_set(target: Any, tmp_path: Path) -> None:
    mine = {"_target_": target, "tasks": {"bright": Multiclass}, "modalities": ["image"]}
    more = ["epochs=4", "batch_size=8", "optimizer.lr=0.03", f"hydra.run.dir={tmp_path / 'run'}"]
    run = jlrun.run([*QUIET[:-1], *more], dataset=mine, backbone={"image": Net})
    assert run.test["bright"]["accuracy"] == 1
    assert run.load_model()({"image": torch.ones(2, 1, 6, 6)})["bright"].shape == (2, 2)


def load_list() -> list[int]:
    return [1, 2]


def test_a_function_of_something_else_is_no_data_set() -> None:
    mine = {"_target_": load_list, "tasks": {"bright": Multiclass}, "modalities": ["image"]}
    with pytest.raises(UserError, match="is a function that returns list, which is not a data set"):
        jlrun.check([*QUIET], dataset=mine)


def test_a_class_hides_no_option_of_its_name() -> None:
    named = type("CNN", (Net,), {"__module__": __name__, "__qualname__": "CNN"})
    config = jlrun.check(["mode=multitask"], backbone={"image": named})
    assert config["backbone"]["image"]["_target_"] == f"{__name__}.CNN"


def test_options_are_a_frame(tmp_path: Path) -> None:
    (tmp_path / "fusion").mkdir()
    (tmp_path / "fusion" / "mine.yaml").write_text("# my own\n_target_: a.B\n")
    found = jlrun.ls("fusion", config_dir=tmp_path).set_index("option")
    assert found.loc["mine", "description"] == "my own"
    assert "gates" in str(found.loc["gated", "description"])
    assert {"weighting", "backbone/image"} <= set(jlrun.ls()["group"])


NOTEBOOK = """
import jlrun, torch
from torch import nn
class Flat(nn.Module):
    def __init__(self, spec, width: int = 8):
        super().__init__()
        self.layer = nn.Linear(spec.height * spec.width, width)
        self.out_features = width
    def forward(self, x):
        return self.layer(x.flatten(1)).relu()
run = jlrun.run(OPTIONS, backbone={"image": Flat})
torch.save(run.load_model()({"image": torch.ones(2, 1, 8, 8)}), "logits.pt")
run
"""


def test_a_class_of_a_notebook_is_given_again_elsewhere(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
    pytest.importorskip("ipykernel", reason="needs nbclient and ipykernel")
    nbformat = pytest.importorskip("nbformat")
    options = [*QUIET, "dataset.limit=60", "hydra.run.dir=run"]
    texts = (NOTEBOOK.replace("OPTIONS", repr(options)), "jlrun.load('.')", "jlrun.load('nowhere')")
    cells = [nbformat.v4.new_code_cell(text) for text in texts]
    notebook = nbformat.v4.new_notebook(cells=cells)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, allow_errors=True, resources=resources).execute()
    shown, runs, failed = (cell.outputs[-1] for cell in notebook.cells)
    assert "digit accuracy" in shown["data"]["text/html"]
    assert "val/mean_score" in runs["data"]["text/html"]
    assert failed["traceback"] == ["UserError: nowhere: there is no such folder"]
    run = jlrun.load(tmp_path / "run")
    assert isinstance(run, jlrun.Run)
    assert run.test["digit"]["accuracy"] >= 0
    with pytest.raises(UserError, match=r"parts=\[Flat\]") as caught:
        run.load_model()
    assert "\n" not in str(caught.value)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(NOTEBOOK.partition("run = ")[0], namespace)
    again = jlrun.load(tmp_path / "run", parts=[namespace["Flat"]])
    assert isinstance(again, jlrun.Run)
    logits = again.load_model()({"image": torch.ones(2, 1, 8, 8)})
    expected = torch.load(tmp_path / "logits.pt", weights_only=True)
    assert all(torch.equal(logits[task], x) for task, x in expected.items())
    given._GIVEN.pop("__main__.Flat")


def test_sweeps_and_studies_of_a_frame_keep_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = jlrun.sweep([*QUIET, "seed=0,1", "dataset.targets=[label]"], dataset=rows())
    (kept,) = Path("outputs/frames").iterdir()
    assert [run.status for run in runs] == ["completed"] * 2
    assert {run.config["dataset"]["path"] for run in runs} == {str(kept.absolute())}
    pd.testing.assert_frame_equal(pd.read_parquet(kept), rows().reset_index(drop=True))
    assert len(runs[0].predict(rows(5))) == 5
    settings = {"table": rows(), "targets": ["label", "price"]}
    assert jlrun.study(["study.dry=true"], dataset=settings) is None
    assert list(Path("outputs/frames").iterdir()) == [kept]


@pytest.mark.parametrize("parts", [{"backbone": {"image": Net}}, {"dataset": load_noise}])
def test_a_sweep_takes_frames_alone(parts: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="only frames can be given here"):
        jlrun.sweep([*QUIET, "seed=0,1"], **parts)


def test_a_script_is_told_its_own_line_and_the_message(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import jlrun\njlrun.run(['mode=multitask', 'epocs=3'])\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("jlrun.UserError: epocs: there is no such key.")
    files = [line for line in lines if line.lstrip().startswith("File ")]
    assert len(files) == 2
    assert str(script) in files[0]
