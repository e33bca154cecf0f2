"""Records of event files are those of TensorBoard's own writer."""

from __future__ import annotations

import io
import random

import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

from jlrun.reporting.recorders.event_records import crc32c, record_of


def test_checksums_of_rfc_3720() -> None:
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"") == 0


@pytest.mark.parametrize("length", [0, 1, 8, 255, 256, 257, 511, 512, 4096, 70_001])
def test_records_are_those_of_tensorboard(length: int) -> None:
    data = random.Random(length).randbytes(length)
    buffer = io.BytesIO()
    RecordWriter(buffer).write(data)
    assert record_of(data) == buffer.getvalue()
