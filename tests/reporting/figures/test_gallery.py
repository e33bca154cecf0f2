"""Every figure looks as it did when someone looked at it last.

`tests.reporting.figures.gallery` draws the pictures that are compared with.
"""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageFilter

from tests.reporting.figures.gallery import BASELINES, DPI, FIGURES, drawn

# Of 255, as seen from afar. Another version of FreeType moves edges of letters by less: that
# changes single pixels by 100 and more, and what is seen from afar by 10.
MOST = 24
BLUR = 2.0  # pixels


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the largest difference of two pictures as they are seen from afar."""
    blurred = [
        image.convert("RGB").filter(ImageFilter.GaussianBlur(BLUR)) for image in (one, other)
    ]
    return float(np.asarray(ImageChops.difference(*blurred)).max())


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_looks_as_before(name: str) -> None:
    draw, _ = FIGURES[name]
    found = drawn(draw(), DPI)
    with Image.open(BASELINES / f"{name}.png") as baseline:
        assert abs(found.width - baseline.width) <= 1
        assert abs(found.height - baseline.height) <= 1
        assert difference(found.resize(baseline.size), baseline) <= MOST


def test_baselines_are_those_of_figures() -> None:
    assert {file.stem for file in BASELINES.iterdir()} == {*FIGURES}


def test_a_missing_word_is_seen() -> None:
    with Image.open(BASELINES / "confusion.png") as baseline:
        changed = baseline.convert("RGB")
    changed.paste("white", (changed.width // 3, 0, changed.width // 2, 8))  # of the title
    with Image.open(BASELINES / "confusion.png") as baseline:
        assert difference(changed, baseline) > MOST
