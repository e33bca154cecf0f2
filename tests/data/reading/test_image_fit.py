"""Transparent images on a colour, and images of any form brought to one size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter, ValidationError
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

from jlrun.config import checked
from jlrun.config.messages import validate
from jlrun.data.reading.image_decoding import frames_beyond_first
from jlrun.data.reading.image_files import in_mode, read_picture, square
from jlrun.data.specs import spec_from_json, spec_to_json
from jlrun.data.tables.files.inputs import ImageSettings
from jlrun.data.tables.files.outline import outline
from jlrun.data.tables.files.request import Request
from jlrun.errors import UserError

DRAW = np.random.default_rng(0)
PIXELS = DRAW.integers(0, 256, (6, 6, 4), dtype=np.uint8)
ALPHA = PIXELS[:, :, 3:] / 255
RGBA = Image.fromarray(PIXELS)
BACKGROUNDS = {"white": (255, 255, 255), "black": (0, 0, 0), "#204060": (32, 64, 96)}


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_alpha_is_composed_on_the_background(background: str) -> None:
    colour = np.array(BACKGROUNDS[background])
    expected = ALPHA * PIXELS[:, :, :3] + (1 - ALPHA) * colour
    found = np.asarray(in_mode(RGBA, "RGB", background), float)
    assert np.abs(found - expected).max() <= 1
    premultiplied = np.asarray(in_mode(RGBA.convert("RGBa"), "RGB", background), float)
    assert np.abs(premultiplied - expected)[ALPHA[:, :, 0] > 0.5].max() <= 3


def _transparent(mode: str) -> Image.Image:
    """Return black on the left, transparent black on the right."""
    shade, alpha = Image.new("L", (8, 8)), Image.new("L", (8, 8))
    alpha.paste(255, (0, 0, 4, 8))
    match mode:
        case "LA" | "La":
            return Image.merge("LA", (shade, alpha)).convert(mode)
        case "PA":
            image = shade.convert("P")
            image.putalpha(alpha)
            assert image.mode == "PA"
            return image
        case "RGBA" | "RGBa":
            return Image.merge("RGBA", (shade, shade, shade, alpha)).convert(mode)
    image = Image.new(mode, (8, 8))
    image.paste(1, (4, 0, 8, 8))  # the shade that stands for transparency
    if mode == "P":
        image.putpalette([0, 0, 0, 0, 0, 0])
    image.info["transparency"] = (1, 0, 0) if mode == "RGB" else 1
    return image


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBA", "RGBa", "P", "L", "RGB"])
def test_black_on_transparent_shows_by_default(mode: str, tmp_path: Path) -> None:
    image = _transparent(mode)
    for wanted in ("RGB", "L"):
        found = np.asarray(in_mode(image, wanted, "white"))
        assert (found[:, :4] == 0).all()
        assert (found[:, 4:] == 255).all()
    if mode not in ("La", "RGBa", "PA"):  # which no PNG holds
        image.save(tmp_path / "a.png", **{k: v for k, v in image.info.items() if mode != "RGBA"})
        for channels in (1, 3):
            read = read_picture(tmp_path / "a.png", square(8, channels))  # pyright: ignore
            assert (read[:, 0].tolist()) == [[0] * 4 + [255] * 4] * channels


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "LAB"])
def test_colours_of_every_space_are_those_of_rgb(mode: str) -> None:
    plain = Image.new("RGB", (8, 8), (200, 100, 50))
    if mode == "LAB":
        from PIL import ImageCms

        spaces = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.applyTransform(plain, ImageCms.buildTransform(*spaces, "RGB", mode))
        assert image is not None
    else:
        image = plain.convert(mode)
    for wanted in ("RGB", "L"):
        found = np.asarray(in_mode(image, wanted, "white"), float)
        assert np.abs(found - np.asarray(plain.convert(wanted), float)).max() <= 2


def _on_disk(folder: Path, size: tuple[int, int]) -> tuple[Path, Image.Image]:
    width, height = size
    pixels = DRAW.integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image.save(folder / "a.png")
    return folder / "a.png", image


@pytest.mark.parametrize("size", [(40, 20), (20, 40)])
def test_each_way_to_one_size_is_that_of_torchvision(size: tuple[int, int], tmp_path: Path) -> None:
    path, image = _on_disk(tmp_path, size)
    side, linear = 10, InterpolationMode.BILINEAR
    whole = [round(side * length / max(size)) for length in size]
    left, top = ((side - length) // 2 for length in whole)
    small = F.resize(image, [whole[1], whole[0]], linear)
    expected: dict[str, Any] = {
        "crop": F.center_crop(F.resize(image, [side], linear), [side]),
        "squeeze": F.resize(image, [side, side], linear),
        "pad": F.pad(small, [left, top, side - whole[0] - left, side - whole[1] - top], (9, 8, 7)),
    }
    for resize, wanted in {**expected, "default": expected["crop"]}.items():
        chosen: dict[str, Any] = {} if resize == "default" else {"resize": resize}
        spec = replace(square(side, 3), background="#090807", **chosen)
        found = read_picture(path, spec).permute(1, 2, 0).numpy().astype(int)
        assert np.abs(found - np.asarray(wanted)).max() <= 1, resize


def test_the_mark_of_a_camera_comes_before_the_size(tmp_path: Path) -> None:
    image = Image.new("L", (8, 4))
    exif = image.getexif()
    exif[0x0112] = 6  # turned by 90 degrees
    image.save(tmp_path / "a.png", exif=exif)
    found = read_picture(tmp_path / "a.png", replace(square(8, 1), resize="pad"))
    assert found[0, 0].tolist() == [255, 255, 0, 0, 0, 0, 255, 255]


def test_a_saved_model_keeps_how_its_images_are_read() -> None:
    spec = replace(square(8, 3), resize="pad", background="black")
    assert spec_from_json(spec_to_json(spec)) == spec


def test_what_is_no_colour_or_way_is_refused() -> None:
    data = ["dataset@source=domains", "source.domain=a", "dataset@target=imagefolder"]
    places = ("source", "target")
    wrong = [f"{at}.{fault}" for at in places for fault in ("background=whit", "resize=pat")]
    with pytest.raises(UserError) as caught:
        checked(["mode=transfer", *data, *wrong, "data_root=."])
    problems = {problem.where: problem.message for problem in caught.value.problems}
    for at in places:
        assert problems[f"{at}.background"].startswith("'whit' is no opaque colour; expected white")
        assert "Did you mean 'pad'?" in problems[f"{at}.resize"]
    with pytest.raises(ValidationError, match="no opaque colour"):
        validate(TypeAdapter(ImageSettings), {"background": "whit"})


def test_the_first_of_several_frames_is_read_and_that_is_said(tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8), shade) for shade in (10, 200)]
    for name in ("a.gif", "a.tif", "a.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
        assert frames_beyond_first(tmp_path / name)
        assert (read_picture(tmp_path / name, square(8, 1)) == 10).all()
    frames[0].save(tmp_path / "b.gif")
    assert not frames_beyond_first(tmp_path / "b.gif")
    rows = "".join(f"{name},{i % 2}\n" for i, name in enumerate(["a.gif", "b.gif"] * 4))
    (tmp_path / "t.csv").write_text(f"photo,y\n{rows}")
    found = outline(Request(tmp_path / "t.csv", targets=["y"]))
    assert any("such as a.gif, have several frames or pages" in line for line in found.lines)
