"""Images of any form brought to one size, and transparent ones composed on a colour."""

from __future__ import annotations

from typing import Annotated

from PIL import Image, ImageColor, ImageOps
from pydantic import AfterValidator

from jlrun.data.specs import Resize

_METHOD = Image.Resampling.BILINEAR
_PREMULTIPLIED = {"RGBa": "RGBA", "La": "LA"}


def as_colour(text: str) -> str:
    """Return the name or ``#rrggbb`` of an opaque colour as it is.

    Raises:
        ValueError: if Pillow knows no such colour, or it is transparent.
    """
    try:
        opaque = len(ImageColor.getrgb(text)) == len("RGB")
    except ValueError:
        opaque = False
    if not opaque:
        raise ValueError("is no opaque colour; expected white, black or '#rrggbb'")
    return text


Colour = Annotated[str, AfterValidator(as_colour)]


def composed(image: Image.Image, background: str) -> Image.Image:
    """Return an image of 8 bits without transparency: alpha composed on ``background``.

    One that has no transparency is returned as it is.
    """
    if image.mode in _PREMULTIPLIED:
        image = image.convert(_PREMULTIPLIED[image.mode])
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, background), image).convert("RGB")


def fitted(
    image: Image.Image, size: tuple[int, int], resize: Resize, background: str
) -> Image.Image:
    """Return an image of ``size`` (width, height).

    Args:
        image: of a mode without transparency.
        size: in pixels.
        resize: ``crop`` cuts the largest centred part of that form out; ``pad`` keeps all of the
            image, centred on ``background``; ``squeeze`` keeps all of it and changes its form.
        background: colour of the padding.
    """
    if image.size == size:
        return image
    match resize:
        case "crop":
            return ImageOps.fit(image, size, method=_METHOD)
        case "pad":
            colour = ImageColor.getcolor(background, image.mode)
            return ImageOps.pad(image, size, method=_METHOD, color=colour)
        case "squeeze":
            return image.resize(size, _METHOD)
