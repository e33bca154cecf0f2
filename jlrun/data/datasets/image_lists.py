"""Image lists: text files with an image and the number of its class in each line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jlrun.errors import UserError
from jlrun.files.regular import check_regular


@dataclass(frozen=True)
class ImageList:
    """Content of a list.

    Attributes:
        names: paths of images, relative to a folder that the list does not name.
        numbers: the class of each.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]


def read_image_list(path: Path) -> ImageList:
    """Read lines like ``sketch/dog/1.png 3``; a name may have spaces. Empty lines are skipped.

    Raises:
        UserError: naming the file, and the line of another form.
    """
    check_regular(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError.of(str(path), f"can't be read: {error}") from error
    names, numbers = [], []
    for place, line in enumerate(lines, start=1):
        parts = line.strip().rsplit(maxsplit=1)
        if not parts:
            continue
        if len(parts) == 1 or not parts[1].isdecimal():
            raise UserError.of(
                f"{path}: line {place}", f"'{line}'; expected a path and a number, 'dog/1.png 3'"
            )
        names.append(parts[0])
        numbers.append(int(parts[1]))
    if not names:
        raise UserError.of(str(path), "names no images; get the list anew")
    return ImageList(tuple(names), tuple(numbers))
