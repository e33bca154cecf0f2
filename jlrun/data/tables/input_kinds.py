"""Kinds of a table's inputs: their settings, and the specs that follow."""

from __future__ import annotations

from dataclasses import dataclass

from jlrun.data.specs import AudioSpec, ImageSpec, SeriesSpec, Spec, TabularSpec, TextSpec
from jlrun.data.tables.files.inputs import ColumnsOf
from jlrun.data.tables.files.settings import (
    AudioSettings,
    CategorySettings,
    ImageSettings,
    SeriesSettings,
    TextSettings,
)


@dataclass(frozen=True)
class InputKinds:
    """Settings of each kind of input."""

    text: TextSettings
    category: CategorySettings
    image: ImageSettings
    audio: AudioSettings
    series: SeriesSettings

    def spec_of(self, columns: ColumnsOf) -> Spec:
        """Return the spec of a modality, without what depends on training rows.

        Settings that are measured on files must be complete.
        """
        match columns.kind:
            case "image":
                return self._image()
            case "audio":
                return self._audio()
            case "series":
                return self._series()
            case "text":
                return TextSpec((), 1)
            case _:
                count = len(columns.columns)
                levels = ((),) * len(columns.categories)
                zeros, ones = (0.0,) * count, (1.0,) * count
                return TabularSpec(columns.columns, zeros, ones, columns.categories, levels)

    def _image(self) -> ImageSpec:
        size, channels = self.image.size, self.image.channels
        assert size is not None
        assert channels is not None
        return ImageSpec(channels, size, size, (), ())

    def _audio(self) -> AudioSpec:
        rate, seconds = self.audio.rate, self.audio.seconds
        assert rate is not None
        assert seconds is not None
        return AudioSpec(max(1, round(seconds * rate)), rate)

    def _series(self) -> SeriesSpec:
        length, channels = self.series.length, self.series.channels
        assert length is not None
        assert channels is not None
        return SeriesSpec(length, channels, (0.0,) * channels, (1.0,) * channels)
