"""Columns of a sweep's HParams, as TensorBoard itself finds them in the sweep's folder."""

from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams.backend_context import Context

from jlrun.config.check import checked
from jlrun.files.atomic import write_json
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.tensorboard import TensorBoardRecorder
from jlrun.runs.saved_run import to_yaml
from jlrun.runs.sweeps.board_columns import united, write_columns
from jlrun.training.recorder import Header


def _write_run(folder: Path, config: dict, changed: dict[str, str]) -> None:
    run = RunDirectory(folder)
    recorder = TensorBoardRecorder(run.tensorboard)
    recorder.rewind({})
    recorder.start(Header(folder, "multitask", "cpu", 1, 1, {}, changed, {"epochs": 2}))
    result = {"schema": 1, "status": "completed", "mode": "multitask", "seed": 0, "baselines": {}}
    result |= {"overrides": [f"{key}={value}" for key, value in changed.items()]}
    result |= {"test": {"digit": {"accuracy": 0.5}}, "objective": {"value": 0.5}}
    result |= {"selected": {"step": 5}}
    recorder.finish(result)
    recorder.close()
    run.config.write_text(to_yaml(config))
    run.overrides.write_text("[]")
    write_json(run.result, result)


def test_tensorboard_shows_what_any_run_of_the_sweep_has_set(tmp_path: Path) -> None:
    config = checked(["mode=multitask"]).config
    _write_run(tmp_path / "0", config, {"weighting": "dwa", "weighting.temperature": "2"})
    _write_run(tmp_path / "1", config, {"weighting": "famo", "weighting.gamma": "0.01"})
    (tmp_path / "2").mkdir()
    assert not write_columns(tmp_path, ["2"])
    for _ in range(2):  # the second takes the place of the first
        assert write_columns(tmp_path, ["0", "1", "2"])
    assert len(list(tmp_path.glob("*tfevents*"))) == 1
    files = EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
    files.Reload()
    provider = MultiplexerDataProvider(files, str(tmp_path))
    context, request = Context(TBContext(data_provider=provider)), RequestContext()
    found = context.experiment_from_metadata(
        request,
        "",
        include_metrics=True,
        hparams_run_to_tag_to_content=context.hparams_metadata(request, ""),
        data_provider_hparams=[],
    )
    kinds = {info.name: info.type for info in found.hparam_infos}
    assert {"weighting.temperature", "weighting.gamma", "optimizer.lr"} <= kinds.keys()
    assert kinds["weighting.gamma"] == kinds["batch_size"] != kinds["weighting"]
    assert {info.name.tag for info in found.metric_infos} == {"test/digit/accuracy", "objective"}


def test_a_key_of_numbers_and_texts_is_a_text() -> None:
    runs = [{"a": 1.0}, {"a": "null", "b": 2.0}, {"a": 3.0, "b": 4.0}]
    assert united(runs) == {"a": "null", "b": 4.0}
