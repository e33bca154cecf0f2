#!/usr/bin/env bash
# TensorBoard 2.21.0, HParams of a folder of runs, each with an experiment summary of its own, as PyTorch's
# SummaryWriter.add_hparams writes one into every run. The columns are those of a single run, the first by name: a
# hyperparameter or a metric that only later runs have gets no column, and a discrete domain lists the first run's value
# alone. Nothing says so, and the rows of the other runs are there, without their values.
# Seen: two runs, "lr" and "momentum" in the second, "lr" in the first: the experiment has the one column "lr" with the
# one value 0.1, metrics of the first run alone, and two rows.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorboard==2.21.0 setuptools==80.9.0
"$folder/venv/bin/python" -W ignore - "$folder/logs" <<'PY'
import logging
import sys
import time

import tensorboard
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import (
    api_pb2,
    backend_context,
    get_experiment,
    list_session_groups,
    metadata,
    plugin_data_pb2,
)
from tensorboard.summary.writer.event_file_writer import EventFileWriter

logging.disable(logging.WARNING)
print("tensorboard", tensorboard.__version__)


def tagged(tag, **content):
    """Return a summary of the HParams plugin."""
    data = plugin_data_pb2.HParamsPluginData(**content)
    value = Summary.Value(
        tag=tag, metadata=metadata.create_summary_metadata(data), tensor=metadata.NULL_TENSOR
    )
    return Summary(value=[value])


def write(name, hparams, metric):
    """Write one run with its experiment summary, its hyperparameters and a score."""
    infos = []
    for key, value in hparams.items():
        info = api_pb2.HParamInfo(name=key, type=api_pb2.DATA_TYPE_FLOAT64)
        info.domain_discrete.values.add(number_value=value)
        infos.append(info)
    metrics = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=metric))]
    writer = EventFileWriter(f"{sys.argv[1]}/{name}")
    experiment = api_pb2.Experiment(hparam_infos=infos, metric_infos=metrics)
    start = plugin_data_pb2.SessionStartInfo()
    for key, value in hparams.items():
        start.hparams[key].number_value = value
    end = plugin_data_pb2.SessionEndInfo(status=api_pb2.STATUS_SUCCESS)
    summaries = [
        tagged(metadata.EXPERIMENT_TAG, experiment=experiment),
        tagged(metadata.SESSION_START_INFO_TAG, session_start_info=start),
        Summary(value=[Summary.Value(tag=metric, simple_value=0.9)]),
        tagged(metadata.SESSION_END_INFO_TAG, session_end_info=end),
    ]
    for summary in summaries:
        writer.add_event(Event(wall_time=time.time(), step=0, summary=summary))
    writer.close()


write("run1", {"lr": 0.1}, "accuracy")
write("run2", {"lr": 0.2, "momentum": 0.9}, "loss")

multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(sys.argv[1])
multiplexer.Reload()
provider = data_provider.MultiplexerDataProvider(multiplexer, sys.argv[1])
context = backend_context.Context(base_plugin.TBContext(data_provider=provider, multiplexer=multiplexer))
request = RequestContext()
tags = context.hparams_metadata(request, "")
experiment = get_experiment.Handler(
    request, context, "", api_pb2.GetExperimentRequest(include_metrics=True)
).run()
columns = {
    info.name: [value.number_value for value in info.domain_discrete.values]
    for info in experiment.hparam_infos
}
metrics = [info.name.tag for info in experiment.metric_infos]
asked = api_pb2.ListSessionGroupsRequest(
    start_index=0, slice_size=10, allowed_statuses=[api_pb2.STATUS_SUCCESS]
)
groups = list_session_groups.Handler(request, context, "", asked).run()
print("columns:", columns)
print("metrics:", metrics)
print("rows:", groups.total_size)
assert columns == {"lr": [0.1]} and metrics == ["accuracy"], "the behaviour has changed"
assert groups.total_size == 2, "the behaviour has changed"
PY
