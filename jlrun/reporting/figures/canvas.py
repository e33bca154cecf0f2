"""Figures that show names as they are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plain_figure(**options: Any) -> Figure:
    """Return a figure in which no text is a formula, wherever it stands: ``$`` is a dollar sign.

    Letters that the font lacks are boxes, without a warning for each. The background is white and
    opaque, whatever the user's settings of Matplotlib: ink is dark, and pages may be, too. The
    options are those of `matplotlib.figure.Figure`.
    """
    return _plain_class()(**options)


@cache
def _plain_class() -> type[Figure]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    unset: Any = {"figure.autolayout": False, "figure.constrained_layout.use": False}

    class PlainFigure(Figure):
        _is_plain = False

        def draw(self, renderer: Any) -> None:
            with self._plain_text():
                super().draw(renderer)

        def savefig(self, *args: Any, **kwargs: Any) -> None:
            # Matplotlib draws a figure with a layout twice, the first time for the layout alone;
            # the engine "none" would have it do so, too.
            with self._plain_text(), rc_context(unset):
                engine = self.get_layout_engine()
                if engine is not None:
                    engine.execute(self)
                    self.set_layout_engine(None)
                super().savefig(*args, **{"facecolor": "white", "transparent": False, **kwargs})

        @contextmanager
        def _plain_text(self) -> Iterator[None]:
            if self._is_plain:
                yield
                return
            # Labels of ticks are made while drawing, by the setting; the others are there.
            with rc_context({"text.parse_math": False}), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Glyph .* missing from font")
                for text in self.findobj(Text):
                    assert isinstance(text, Text)
                    text.set_parse_math(False)
                self._is_plain = True
                try:
                    yield
                finally:
                    self._is_plain = False

    return PlainFigure


def legend_label(name: str) -> str:
    """Return a label that legends show; Matplotlib leaves out those that begin with ``_``."""
    return f" {name}" if name.startswith("_") else name
