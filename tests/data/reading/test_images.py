"""Images of every mode: values as they should be, or a refusal that names the file."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jlrun.data.reading.image_files import read_image
from jlrun.errors import UserError
from jlrun.files import limits as file_limits

RAMP = np.linspace(0, 1, 64).reshape(8, 8)
GRAY = Image.fromarray((RAMP * 255).astype(np.uint8))
EIGHT_BITS = np.asarray(GRAY)


def integers(most: int, dtype: str) -> Image.Image:
    return Image.fromarray((RAMP * most).astype(dtype))


READ = {
    "float.tif": Image.fromarray(RAMP.astype(np.float32)),
    "float_0_255.tif": Image.fromarray((RAMP * 255).astype(np.float32)),
    "int32_of_16_bits.tif": integers(65535, "i4"),
    "uint16.tif": integers(65535, "u2"),
    "uint16.png": integers(65535, "u2"),
    "big_endian.tif": Image.frombytes("I;16B", (8, 8), (RAMP * 65535).astype(">u2").tobytes()),
    "gray.png": GRAY,
    "la.png": Image.merge("LA", (GRAY, Image.new("L", (8, 8), 255))),
    "palette.png": GRAY.convert("P"),
    "palette.gif": GRAY.convert("P"),
    "rgba.png": GRAY.convert("RGBA"),
    "cmyk.tif": GRAY.convert("RGB").convert("CMYK"),
    "colours.tif": GRAY.convert("RGB").convert("YCbCr"),
}


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_ramp_is_a_ramp_in_every_mode(name: str, channels: int, tmp_path: Path) -> None:
    READ[name].save(tmp_path / name)
    found = read_image(tmp_path / name, 8, channels)  # pyright: ignore[reportArgumentType]
    for channel in found.numpy():
        assert np.abs(channel.astype(int) - EIGHT_BITS).max() <= 1


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(EIGHT_BITS > 100).save(tmp_path / "a.tif")
    assert (read_image(tmp_path / "a.tif", 8, 1)[0].numpy() == 255 * (EIGHT_BITS > 100)).all()


def test_pgm_of_any_depth_is_read_by_its_range(tmp_path: Path) -> None:
    for most in (300, 4095, 65535):
        values = (RAMP * most).round().astype(">u2").tobytes()
        (tmp_path / "a.pgm").write_bytes(b"P5 8 8 %d\n" % most + values)
        found = read_image(tmp_path / "a.pgm", 8, 1)[0].numpy().astype(int)
        assert np.abs(found - EIGHT_BITS).max() <= 2


def with_nan() -> Image.Image:
    values = RAMP.astype(np.float32)
    values[3, 3] = np.nan
    return Image.fromarray(values)


REFUSED = {
    "NaN": (with_nan(), "has floats that are not finite"),
    "float_0_256": (Image.fromarray((RAMP * 256).astype("f4")), "has floats from 0 to 256"),
    "float_a_little_above_1": (
        Image.fromarray((RAMP * 1.02).astype("f4")),
        "floats from 0 to 1.02",
    ),
    "float_below_0": (Image.fromarray((RAMP - 0.5).astype("f4")), "has floats from -0.5 to 0.5"),
    "int32_0_255": (integers(255, "i4"), "32-bit integers from 0 to 255"),
    "int32_whole": (integers(2**31 - 1, "i4"), "32-bit integers from 0 to 2147483647"),
    "int32_below_0": (integers(-300, "i4"), "32-bit integers from -300 to 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_values_of_unknown_range_are_refused_by_name(name: str, tmp_path: Path) -> None:
    image, reason = REFUSED[name]
    image.save(tmp_path / "a.tif")
    with pytest.raises(UserError, match=rf"a\.tif: .*{reason}"):
        read_image(tmp_path / "a.tif", 8, 3)


def test_black_is_black_whatever_the_range(tmp_path: Path) -> None:
    integers(0, "i4").save(tmp_path / "a.tif")
    assert not read_image(tmp_path / "a.tif", 8, 1).any()


def test_content_that_would_start_a_program_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n")
    with pytest.raises(UserError, match="not a readable image"):
        read_image(tmp_path / "a.png", 8, 3)


@pytest.fixture
def small_budget() -> object:
    file_limits.bound_files(2**20)
    yield
    file_limits.bound_files(file_limits.DEFAULT)


@pytest.mark.usefixtures("small_budget")
@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("1", "png"), ("RGB", "png"), ("P", "gif")]
)
def test_a_small_file_of_a_large_image_is_refused_by_its_header(
    mode: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new(mode, (1100, 1100)).save(path)
    assert path.stat().st_size < 20_000
    with pytest.raises(
        UserError, match=r"1100 x 1100 pixels: .* more than engine\.memory_budget=1MB"
    ):
        read_image(path, 8, 3)


@pytest.mark.usefixtures("small_budget")
def test_a_jpeg_that_is_decoded_at_a_fraction_of_its_size_is_read(tmp_path: Path) -> None:
    Image.new("L", (1600, 1600), 77).save(tmp_path / "a.jpg")
    assert (read_image(tmp_path / "a.jpg", 32, 1) == 77).all()


def test_a_budget_of_0_does_not_refuse_files(tmp_path: Path) -> None:
    file_limits.bound_files(0)
    Image.new("L", (1100, 1100)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", 8, 1).shape == (1, 8, 8)
