"""Record files are TensorBoard's own, byte for byte, and are read up to where they are damaged."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import google_crc32c
import pytest
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.summary.writer.record_writer import RecordWriter

from jlrun.files.records import framed, read_records

RECORDS = [b"", b"a", bytes(range(256)) * 40, b"\xff" * 1000]


def test_records_are_those_of_tensorboard(tmp_path: Path) -> None:
    theirs = BytesIO()
    writer = RecordWriter(theirs)
    for record in RECORDS:
        writer.write(record)
    ours = b"".join(map(framed, RECORDS))
    assert ours == theirs.getvalue()
    assert list(read_records(BytesIO(ours))) == RECORDS
    (tmp_path / "events").write_bytes(ours)
    assert list(RawEventFileLoader(str(tmp_path / "events")).Load()) == RECORDS


@pytest.mark.parametrize("place", range(40))
def test_a_file_is_read_up_to_the_first_record_that_is_cut_or_changed(place: int) -> None:
    whole = b"".join(map(framed, [b"first", b"and second"]))
    first = len(framed(b"first"))
    expected = [b"first"] if place >= first else []
    assert list(read_records(BytesIO(whole[:place]))) == expected
    changed = bytearray(whole)
    changed[place] ^= 16
    assert list(read_records(BytesIO(bytes(changed)))) == expected


def test_checksums_are_computed_by_compiled_code() -> None:
    assert google_crc32c.implementation == "c"
