"""What TensorBoard reads back from a run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from matplotlib.figure import Figure
from sklearn.metrics import precision_score, recall_score
from tensorboard.backend.event_processing.event_accumulator import (
    STORE_EVERYTHING_SIZE_GUIDANCE,
    EventAccumulator,
)
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from tensorboard.util.tensor_util import make_ndarray

from jlrun.data.batch import Batch
from jlrun.errors import UserError
from jlrun.reporting.pr_curves import PrecisionRecallObserver
from jlrun.reporting.recorders.tensorboard import TensorBoardRecorder
from jlrun.tasks import Binary, Objective, TaskSpec
from jlrun.training.recorder import Header, Position

RESULT = {
    "status": "completed",
    "seed": 3,
    "test": {"digit": {"accuracy": 0.96, "loss": None, "auroc": float("nan")}},
    "baselines": {"single_task": {"digit": {"accuracy": 0.95}}},
    "objective": {"name": "val/mean_score", "value": 0.955},
    "selected": {"phase": "train", "epoch": 4, "step": 20},
}


def opened(folder: Path, keep: dict[str, int | None]) -> TensorBoardRecorder:
    recorder = TensorBoardRecorder(folder)
    recorder.rewind(keep)
    settings = {"epochs": 10, "weighting": "equal"}
    changed = {"optimizer.lr": "3e-3", "tasks": ["digit"]}
    recorder.start(Header(folder, "multitask", "cpu", 1, 1, {}, changed, settings))
    return recorder


def record(folder: Path, fit: str, steps: list[int], keep: dict[str, int | None]) -> None:
    recorder = opened(folder, keep)
    for step in steps:
        recorder.scalars(Position(fit, "train", 1, step), {"train/total_loss": step / 4})
    recorder.close()


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance=STORE_EVERYTHING_SIZE_GUIDANCE)
    return events.Reload()


def steps(folder: Path) -> dict[str, list[int]]:
    events = read(folder)
    return {tag: [e.step for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def scalar(events: EventAccumulator, tag: str) -> float:
    return events.Scalars(tag)[-1].value


def test_the_main_fit_has_plain_tags_and_baselines_their_own(tmp_path: Path) -> None:
    record(tmp_path, "main", [10, 20], {})
    record(tmp_path, "single_task/digit", [10], {"main": None})
    assert steps(tmp_path) == {
        "train/total_loss": [10, 20],
        "baselines/single_task/digit/train/total_loss": [10],
    }
    assert scalar(read(tmp_path), "train/total_loss") == 5.0


def test_one_event_file_and_no_folder(tmp_path: Path) -> None:
    record(tmp_path, "main", [10], {})
    record(tmp_path, "main", [20], {"main": 10})
    recorder = opened(tmp_path, {"main": 20})
    recorder.finish(RESULT)
    recorder.close()
    (file,) = tmp_path.rglob("*")
    assert "tfevents" in file.name


def test_rewind_is_exact_for_fits_that_share_their_steps(tmp_path: Path) -> None:
    record(tmp_path, "main", [10, 20, 30], {})
    record(tmp_path, "alone/a", [10, 20, 30], {"main": None})
    record(tmp_path, "alone/ab", [10, 20], {"main": None, "alone/a": None})
    record(tmp_path, "alone/a", [20, 30], {"main": None, "alone/a": 20})
    assert steps(tmp_path) == {
        "train/total_loss": [10, 20, 30],
        "baselines/alone/a/train/total_loss": [10, 20, 30],
    }


def test_a_run_that_begins_in_a_used_folder_starts_anew(tmp_path: Path) -> None:
    record(tmp_path, "main", [10, 20], {})
    record(tmp_path, "main", [10], {})
    assert steps(tmp_path) == {"train/total_loss": [10]}


@pytest.mark.parametrize("missing_bytes", [1, 7, 30])
def test_an_event_that_a_kill_cut_short_is_dropped(tmp_path: Path, missing_bytes: int) -> None:
    record(tmp_path, "main", [10, 20], {})
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-missing_bytes])
    record(tmp_path, "main", [20, 30], {"main": 20})
    assert steps(tmp_path) == {"train/total_loss": [10, 20, 30]}


def test_a_kill_between_rewriting_and_deleting_shows_nothing_twice(tmp_path: Path) -> None:
    record(tmp_path, "main", [10, 20], {})
    (file,) = tmp_path.iterdir()
    file.with_name(file.name + "0").write_bytes(file.read_bytes())
    (tmp_path / "rewritten").write_bytes(b"half a file")
    record(tmp_path, "main", [30], {"main": 20})
    assert steps(tmp_path) == {"train/total_loss": [10, 20, 30]}
    assert len(list(tmp_path.iterdir())) == 1


def test_pictures_and_texts(tmp_path: Path) -> None:
    recorder = opened(tmp_path, {})
    recorder.figure("confusion/digit", Figure(figsize=(3, 2), dpi=50), 20)
    recorder.text("config", "mode: multitask")
    recorder.close()
    recorder = opened(tmp_path, {"main": None})
    recorder.figure("confusion/digit", Figure(figsize=(3, 2), dpi=50), 20)  # once more
    recorder.text("config", "mode: multitask")
    recorder.close()
    events = read(tmp_path)
    (image,) = events.Images("confusion/digit")
    assert (image.width, image.height) == (150, 100)
    assert image.encoded_image_string.startswith(b"\x89PNG")
    (text,) = events.Tensors("config")
    assert text.tensor_proto.string_val[0] == b"mode: multitask"


def session(events: EventAccumulator) -> dict[str, Any]:
    contents = events.PluginTagToContent(metadata.PLUGIN_NAME)
    start = metadata.parse_session_start_info_plugin_data(contents[metadata.SESSION_START_INFO_TAG])
    experiment = metadata.parse_experiment_plugin_data(contents[metadata.EXPERIMENT_TAG])
    return {
        "hparams": {
            name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()
        },
        "metrics": sorted(info.name.tag for info in experiment.metric_infos),
        "ended": metadata.SESSION_END_INFO_TAG in contents,
    }


def test_hparams_are_one_session_with_objective_and_test_scores(tmp_path: Path) -> None:
    recorder = opened(tmp_path, {})
    recorder.finish(RESULT)
    recorder.close()
    events = read(tmp_path)
    assert session(events) == {
        "hparams": {
            "mode": "multitask",
            "seed": 3.0,
            "epochs": 10.0,
            "weighting": "equal",
            "optimizer.lr": 0.003,
            "tasks": "['digit']",
        },
        "metrics": ["objective", "test/digit/accuracy"],
        "ended": True,
    }
    assert scalar(events, "objective") == pytest.approx(0.955)
    assert scalar(events, "test/digit/accuracy") == pytest.approx(0.96)
    assert scalar(events, "baselines/single_task/test/digit/accuracy") == pytest.approx(0.95)


def test_test_scores_that_the_run_recorded_are_not_written_twice(tmp_path: Path) -> None:
    recorder = opened(tmp_path, {})
    recorder.scalars(Position("main", "train", 4, 25), {"test/digit/accuracy": 0.96})
    recorder.finish(RESULT)
    recorder.close()
    recorder = opened(tmp_path, {"main": None})  # killed while it finished, resumed
    recorder.finish(RESULT)
    recorder.close()
    assert steps(tmp_path) == {
        "test/digit/accuracy": [25],
        "objective": [20],
        "baselines/single_task/test/digit/accuracy": [20],
    }


def test_a_failed_run_has_no_session(tmp_path: Path) -> None:
    recorder = opened(tmp_path, {})
    recorder.finish({"status": "failed"})
    recorder.close()
    tags = read(tmp_path).Tags()
    assert tags["scalars"] == tags["tensors"] == []


def test_values_that_are_lost_are_found_and_the_way_out_works(tmp_path: Path) -> None:
    folder = tmp_path / "tb"
    recorder = opened(folder, {})
    at = [Position("main", "train", 1, step) for step in (10, 20, 20)]
    for position in at:  # of what is recorded twice at a step, once is kept
        recorder.scalars(position, {"train/total_loss": 1.0})
    recorded = {"main": recorder.recorded("main")}
    recorder.close()
    for _ in range(2):
        again = TensorBoardRecorder(folder)
        again.rewind({"main": 20}, recorded)
        assert {"main": again.recorded("main")} == recorded
        again.close()
    (file,) = folder.iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    for damaged in (bytes(content), content[:-20], b"", b"random"):
        file.write_bytes(damaged)
        with pytest.raises(UserError, match=r"tb: is damaged \('main' has . values instead of 2\)"):
            TensorBoardRecorder(folder).rewind({"main": 20}, recorded)
        assert [path.name for path in folder.iterdir()] == [file.name]
    file.unlink()
    opened(folder, {"main": 20}).close()
    shutil.rmtree(folder)
    with pytest.raises(UserError, match="is missing"):
        TensorBoardRecorder(folder).rewind({"main": 20}, recorded)


def test_curves_of_tasks_share_charts(tmp_path: Path) -> None:
    recorder = opened(tmp_path, {})
    tags = ["train/a/loss", "val/a/loss", "val/a/accuracy", "baselines/alone/weight/a"]
    for step, new in ((10, []), (20, []), (30, ["weight/a"])):
        tags += new
        recorder.scalars(Position("main", "train", 1, step), dict.fromkeys(tags, 1.0))
        recorder.epoch(Position("main", "train", 1, step), {}, best=False)
    recorder.close()
    events = read(tmp_path).Tensors("custom_scalars__config__")
    assert len(events) == 2  # whenever there are other charts
    (content,) = events[-1].tensor_proto.string_val
    layout = layout_pb2.Layout.FromString(content)
    charts = {c.title: [chart.title for chart in c.chart] for c in layout.category}
    assert charts == {
        "score": ["validation accuracy"],
        "loss": ["training loss of tasks and terms", "validation loss of tasks"],
        "tasks": ["weights"],
    }
    (pattern,) = layout.category[0].chart[0].multiline.tag
    assert re.match(pattern, "val/b/accuracy")
    assert not re.match(pattern, "val/b/mean_class_accuracy")


def test_precision_and_recall_are_those_of_scikit_learn(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    thresholds = torch.arange(127) / 126
    scores = thresholds[torch.randint(0, 126, (300,), generator=generator)]
    classes = (torch.rand(300, generator=generator) < scores).long()
    recorder = opened(tmp_path, {})
    observer = PrecisionRecallObserver(recorder)
    spec = TaskSpec("sick", Binary(), ("no", "yes"))
    both = torch.stack([1 - scores, scores], dim=1)
    observer.see(Objective("sick", "target", spec, "sick"), Batch({}, {"sick": classes}), both)
    observer.finish(step=40)
    recorder.close()
    events = read(tmp_path)
    assert events.Tags()["tensors"] == ["pr/sick/yes"]
    (event,) = events.Tensors("pr/sick/yes")
    found = make_ndarray(event.tensor_proto)
    for i in range(0, 127, 9):
        said = scores >= thresholds[i] - 1e-6
        args = classes.numpy(), said.long().numpy()
        assert found[4, i] == pytest.approx(precision_score(*args, zero_division=0.0))
        assert found[5, i] == pytest.approx(recall_score(*args))


def test_the_projector_reads_vectors_and_their_labels(tmp_path: Path) -> None:
    recorder, vectors = opened(tmp_path, {}), torch.arange(6.0).view(2, 3)
    recorder.embedding("fused", vectors, {"digit": ["1", 'a\t"b"'], "parity": ["odd", ""]})
    recorder.close()
    config = ProjectorConfig()
    text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), config)
    (entry,) = config.embeddings
    assert list(entry.tensor_shape) == [2, 3]
    read_back = np.fromfile(tmp_path / entry.tensor_path, dtype="<f4").reshape(2, 3)
    assert read_back.tolist() == vectors.tolist()
    lines = (tmp_path / entry.metadata_path).read_text().splitlines()
    assert lines == ["digit\tparity", "1\todd", 'a "b"\t-']
