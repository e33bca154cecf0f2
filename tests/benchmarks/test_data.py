"""The loader's loop trains on the images that jlrun trains on, and on nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import data
from benchmarks.data import IN_MEMORY, STREAMED, assembled, loader, train_stream
from benchmarks.loops import JlrunLoop, Repeated
from benchmarks.photos import write_photos
from jlrun.engine import session


@pytest.mark.parametrize("kind", [IN_MEMORY, STREAMED])
def test_both_have_the_same_images(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "PADDING", 0)
    monkeypatch.setattr(data, "FLIP", 0.0)
    monkeypatch.setattr(data, "WORKERS", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_photos(tmp_path / "photos", 40, data.SIZES[kind])  # nothing to resize
    with session(threads=1, deterministic=True):
        assembly = assembled(kind, tmp_path / "photos")
        stream = train_stream(assembly)
        (ours,) = stream.batches(0, 1)
        batches = loader(kind, assembly, tmp_path / "photos")
        ((images, labels),) = batches
    assert len(labels) == ours.size == 32
    away = (images[:, None] - ours.inputs["image"]).abs().amax(dim=(2, 3, 4))  # (theirs, ours)
    row = away.argmin(dim=1)
    assert away.amin(dim=1).max() < 1e-5
    assert row.unique().numel() == 32
    assert torch.equal(ours.targets["label"][row], labels)


def test_a_repeated_batch_is_the_first_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_photos(tmp_path / "photos", 20, 32)
    with session(threads=1, deterministic=True):
        assembly = assembled(IN_MEMORY, tmp_path / "photos")
        stream = train_stream(assembly)
        (first,) = stream.batches(0, 1)
        repeated = Repeated.of(stream)
        for batch in repeated.batches(5, 7):
            assert torch.equal(batch.inputs["image"], first.inputs["image"])
        JlrunLoop.of(assembly, 10, repeated).steps(10)
