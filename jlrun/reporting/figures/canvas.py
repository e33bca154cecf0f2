"""Figures that show names as they are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plain_figure(**options: Any) -> Figure:
    """Return a figure in which no text is a formula, wherever it stands: ``$`` is a dollar sign.

    Letters that the font lacks are boxes, without a warning for each. The background is white and
    opaque, whatever the user's settings of Matplotlib: ink is dark, and pages may be, too. The
    options are those of `matplotlib.figure.Figure`.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    class PlainFigure(Figure):
        def draw(self, renderer: Any) -> None:
            with self._plain_text():
                super().draw(renderer)

        def savefig(self, *args: Any, **kwargs: Any) -> None:
            # Matplotlib draws a figure with a layout twice, the first time for the layout alone.
            engine = self.get_layout_engine()
            if engine is not None:
                with self._plain_text():
                    engine.execute(self)
                self.set_layout_engine("none")
            super().savefig(*args, **{"facecolor": "white", "transparent": False, **kwargs})

        @contextmanager
        def _plain_text(self) -> Iterator[None]:
            # Labels of ticks are made while drawing, by the setting; the others are there.
            with rc_context({"text.parse_math": False}), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Glyph .* missing from font")
                for text in self.findobj(Text):
                    assert isinstance(text, Text)
                    text.set_parse_math(False)
                yield

    return PlainFigure(**options)


def legend_label(name: str) -> str:
    """Return a label that legends show; Matplotlib leaves out those that begin with ``_``."""
    return f" {name}" if name.startswith("_") else name
