"""Free Spoken Digit Dataset: recordings labelled by digit and speaker."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.digits import DIGITS
from jlrun.data.file_checks import read_each
from jlrun.data.reading.audio import read_audio
from jlrun.data.rows import TensorRows
from jlrun.data.specs import AudioSpec
from jlrun.errors import UserError
from jlrun.ranges import PositiveFloat

FOLDERS = ("fsdd", "recordings", "free-spoken-digit-dataset/recordings")
SOURCE = "https://github.com/Jakobovski/free-spoken-digit-dataset"
SAMPLE_RATE = 8_000
LAST_TEST_INDEX = 4
_NAME = re.compile(r"(?P<digit>[0-9])_(?P<speaker>.+)_(?P<index>[0-9]+)\.wav")


def load_fsdd(root: str, seconds: PositiveFloat = 1.0) -> Dataset:
    """Return recordings of spoken digits with the tasks ``digit`` and ``speaker``.

    Jackson et al., "Free Spoken Digit Dataset", 2018: 8 kHz, 16 bit, files
    ``{digit}_{speaker}_{index}.wav`` in ``root/fsdd``, or in ``root/recordings`` as in its
    repository. Recordings 0 to 4 of each digit and speaker are the official test split. Speakers
    are in the order of their names.

    Args:
        root: the folder above that of the recordings.
        seconds: length that recordings are cut to, or padded to with silence, at the end. One in
            two hundred is longer than a second.

    Returns:
        audio float32 ``(8000 * seconds,)``; tasks ``digit`` and ``speaker``, int64.

    Raises:
        UserError: naming the missing folder, or the file with another name or format.
    """
    spec = AudioSpec(max(1, round(seconds * SAMPLE_RATE)), SAMPLE_RATE)
    folder = _folder(Path(root).expanduser())
    recordings = [_recording(path) for path in sorted(folder.glob("*.wav"))]
    speakers = tuple(sorted({recording.speaker for recording in recordings}))
    train = [recording for recording in recordings if recording.index > LAST_TEST_INDEX]
    test = [recording for recording in recordings if recording.index <= LAST_TEST_INDEX]
    if not train:
        raise UserError.of(
            str(folder),
            f"no recording has an index above {LAST_TEST_INDEX}; those up to it are the test "
            f"split: get those from {LAST_TEST_INDEX + 1} on from {SOURCE}",
        )
    return Dataset(
        train=_rows(train, speakers, spec),
        test=_rows(test, speakers, spec) if test else None,
        modalities={"audio": spec},
        classes={"digit": DIGITS, "speaker": speakers},
    )


@dataclass(frozen=True)
class _Recording:
    path: Path
    digit: int
    speaker: str
    index: int


def _folder(root: Path) -> Path:
    for name in FOLDERS:
        if any((root / name).glob("*.wav")):
            return root / name
    found = "no such folder" if not root.is_dir() else f"no WAV files in {' or '.join(FOLDERS)}"
    raise UserError.of(
        f"data_root={root}",
        f"{found}; expected {root / FOLDERS[0]}/{{digit}}_{{speaker}}_{{index}}.wav, the files "
        f"in 'recordings' of {SOURCE}",
    )


def _recording(path: Path) -> _Recording:
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise UserError.of(
            str(path), "expected a name like 7_jackson_32.wav, {digit}_{speaker}_{index}.wav"
        )
    return _Recording(path, int(match["digit"]), match["speaker"], int(match["index"]))


def _rows(recordings: Sequence[_Recording], speakers: Sequence[str], spec: AudioSpec) -> TensorRows:
    return TensorRows(
        {"audio": torch.stack(read_each(recordings, lambda r: read_audio(r.path, spec)))},
        {
            "digit": torch.tensor([recording.digit for recording in recordings]),
            "speaker": torch.tensor([speakers.index(r.speaker) for r in recordings]),
        },
    )
