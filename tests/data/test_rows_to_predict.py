"""Rows to predict, from files in the forms that users have."""

import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jlrun.data.rows_to_predict import read_inputs
from jlrun.data.specs import AudioSpec, ImageSpec, TextSpec
from jlrun.errors import UserError

IMAGE = ImageSpec(1, 8, 8, (0.5,), (0.2,))
AUDIO = AudioSpec(num_samples=80, sample_rate=8000)
TEXT = TextSpec(("one", "two"), length=3)
ALL = {"image": IMAGE, "audio": AUDIO, "text": TEXT}


def write_image(path: Path, value: int, size: int = 8) -> None:
    Image.fromarray(np.full((size, size), value, np.uint8)).save(path)


def write_wav(path: Path, samples: np.ndarray, rate: int = 8000, channels: int = 1) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def test_a_folder_of_images_in_the_order_of_names(tmp_path: Path) -> None:
    write_image(tmp_path / "b.png", 200)
    write_image(tmp_path / "a.png", 100, size=16)
    inputs = read_inputs(tmp_path, {"image": IMAGE})
    rows = inputs.rows.fetch(torch.arange(2))
    assert inputs.names == ("a.png", "b.png")
    assert rows.inputs["image"].shape == (2, 1, 8, 8)
    assert rows.inputs["image"][:, 0, 0, 0].tolist() == [100, 200]


def test_one_image(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", 7)
    assert len(read_inputs(tmp_path / "a.png", {"image": IMAGE}).rows) == 1


@pytest.mark.parametrize("shape", [(3, 8, 8), (3, 1, 8, 8), (3, 8, 8, 1), (3, 16, 16, 3)])
def test_arrays_of_every_usual_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "x.npy", np.full(shape, 9, np.uint8))
    rows = read_inputs(tmp_path / "x.npy", {"image": IMAGE}).rows.fetch(torch.arange(3))
    assert rows.inputs["image"].shape == (3, 1, 8, 8)
    assert rows.inputs["image"].unique().tolist() == [9]


def test_a_modality_that_an_archive_lacks_is_absent(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", audio=np.zeros((2, 100), np.float32), text=["one two", "three"])
    rows = read_inputs(tmp_path / "x.npz", ALL).rows.fetch(torch.arange(2))
    assert rows.present["image"].tolist() == [False, False]
    assert rows.inputs["audio"].shape == (2, 80)
    assert rows.inputs["text"].tolist() == [[2, 3, 0], [1, 0, 0]]


def test_a_table_of_files_and_texts_with_holes(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", 50)
    write_wav(tmp_path / "a.wav", np.full(40, 0.5))
    (tmp_path / "rows.csv").write_text("image,audio,text\na.png,,One\n,a.wav,\n")
    rows = read_inputs(tmp_path / "rows.csv", ALL).rows.fetch(torch.arange(2))
    assert rows.present["image"].tolist() == [True, False]
    assert rows.present["audio"].tolist() == [False, True]
    assert rows.inputs["audio"][1, :41].tolist() == pytest.approx([0.5] * 40 + [0.0], abs=1e-4)
    assert rows.inputs["text"].tolist() == [[2, 0, 0], [0, 0, 0]]


def test_what_cannot_be_read_is_left_out_by_name(tmp_path: Path) -> None:
    for name in ("a.png", "c.png"):
        write_image(tmp_path / name, 7)
    (tmp_path / "b.png").write_text("no image")
    (tmp_path / "d.jpg").write_text("no image")
    found = read_inputs(tmp_path, {"image": IMAGE}, skip=True)
    assert found.names == ("a.png", "c.png")
    assert len(found.rows) == 2
    assert [line.partition(": ")[0] for line in found.skipped] == [
        str(tmp_path / name) for name in ("b.png", "d.jpg")
    ]

    (tmp_path / "rows.csv").write_text("image,text\na.png,one\nb.png,one\n,\n,two\n")
    of_table = read_inputs(tmp_path / "rows.csv", {"image": IMAGE, "text": TEXT}, skip=True)
    assert of_table.names == ("0", "3")
    assert of_table.rows.fetch(torch.arange(2)).present["image"].tolist() == [True, False]
    assert ["line 3: " in of_table.skipped[0], "line 4: " in of_table.skipped[1]] == [True, True]

    for name in ("a.png", "c.png"):
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match=r"b\.png(.|\n)*d\.jpg(.|\n)*no row is left to predict"):
        read_inputs(tmp_path, {"image": IMAGE}, skip=True)


def wrong_inputs(folder: Path) -> dict[str, tuple[Path, dict, str]]:
    (folder / "empty").mkdir()
    write_image(folder / "a.png", 1)
    (folder / "broken.npz").write_bytes(b"PK not an archive")
    (folder / "broken.npy").write_bytes(b"not an array")
    np.save(folder / "floats.npy", np.zeros((3, 8, 8)))
    np.save(folder / "number.npy", np.float32(3))
    np.savez(folder / "other.npz", imagee=np.zeros((3, 8, 8), np.uint8))
    np.savez(
        folder / "lengths.npz",
        image=np.zeros((3, 8, 8), np.uint8),
        audio=np.zeros((2, 9), np.float32),
    )
    (folder / "columns.csv").write_text("pictures\na.png\n")
    (folder / "missing.csv").write_text("image\nnowhere.png\n")
    (folder / "norows.csv").write_text("image\n")
    (folder / "blank.csv").write_text("image,text\n,\n")
    (folder / "ragged.csv").write_text('image,text\na.png,"one\ntwo"\na.png,x,y\n')
    (folder / "latin.csv").write_bytes(b"image,text\na.png,caf\xe9\n")
    (folder / "rows.docx").write_bytes(b"")
    (folder / "noise.wav").write_bytes(b"RIFF but no more")
    (folder / "noise.csv").write_text("audio\nnoise.wav\n")
    image = {"image": IMAGE}
    return {
        "nowhere": (folder / "nowhere", image, "there is no"),
        "empty folder": (folder / "empty", image, "holds no images"),
        "broken array": (folder / "broken.npy", image, "not a readable array"),
        "broken archive": (folder / "broken.npz", image, "not a readable array"),
        "number": (folder / "number.npy", image, "is a single number"),
        "floats": (folder / "floats.npy", image, "expected uint8 images"),
        "other name": (folder / "other.npz", ALL, "Did you mean 'image'"),
        "lengths": (folder / "lengths.npz", ALL, "same number of rows"),
        "columns": (folder / "columns.csv", image, "needs a column"),
        "missing file": (folder / "missing.csv", image, "nowhere.png"),
        "no rows": (folder / "norows.csv", image, "a header and no rows"),
        "ragged": (folder / "ragged.csv", ALL, "line 4: 3 cells, and the header has 2"),
        "latin": (folder / "latin.csv", ALL, "line 2: byte 0xe9; save it as UTF-8"),
        "a row of nothing": (folder / "blank.csv", ALL, "line 2"),
        "format": (folder / "rows.docx", image, "is not an image"),
        "no sound": (folder / "noise.csv", ALL, "noise.wav: not a readable sound file"),
        "images for several": (folder, ALL, "give a .npz or .csv"),
    }


def test_wrong_inputs_are_told(tmp_path: Path) -> None:
    for case, (path, specs, expected) in wrong_inputs(tmp_path).items():
        with pytest.raises(UserError) as caught:
            read_inputs(path, specs)
        assert expected in str(caught.value), case
