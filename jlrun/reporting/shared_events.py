"""Event files of TensorBoard to be shared: curves and hyperparameters, without pictures and texts.

Pictures show rows, and the text of the configuration has paths.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.plugins.custom_scalar.metadata import PLUGIN_NAME as LAYOUT
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.plugins.hparams.plugin_data_pb2 import (
    HParamsPluginData,  # pyright: ignore[reportAttributeAccessIssue]
)

from jlrun.files.records import framed

NAME = "events.out.tfevents.shared"


def write_shared_events(source: Path, folder: Path, shared: Callable[[Any], Any]) -> None:
    """Write one event file with the curves and hyperparameters of those in ``source``.

    Args:
        source: folder of event files; in the order of their names, which begin with the time.
        folder: where the file goes.
        shared: makes a text of a hyperparameter fit to be shared.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / NAME).open("wb") as opened:
        for file in sorted(source.glob("*tfevents*")):
            for event in LegacyEventFileLoader(str(file)).Load():
                kept = [value for value in event.summary.value if _is_kept(value)]
                if event.HasField("summary") and not kept:
                    continue
                for value in kept:
                    _share(value, shared)
                if kept:
                    event.summary.CopyFrom(Summary(value=kept))
                opened.write(framed(event.SerializeToString()))


def _is_kept(value: Summary.Value) -> bool:
    name = value.metadata.plugin_data.plugin_name
    return name in ("scalars", hparams.PLUGIN_NAME, LAYOUT) or (
        not name and value.WhichOneof("value") == "simple_value"
    )


def _share(value: Summary.Value, shared: Callable[[Any], Any]) -> None:
    """Let the texts among the hyperparameters that an event states be shared."""
    plugin = value.metadata.plugin_data
    if plugin.plugin_name != hparams.PLUGIN_NAME:
        return
    content = HParamsPluginData.FromString(plugin.content)
    for number in content.session_start_info.hparams.values():
        if number.HasField("string_value"):
            number.string_value = shared(number.string_value)
    plugin.content = content.SerializeToString()
