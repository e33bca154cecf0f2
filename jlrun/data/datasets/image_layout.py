"""Layout of folders of images by split and class. No PyTorch is imported."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from jlrun.data.reading.image_names import is_image_name
from jlrun.errors import UserError

UNLABELLED = "unlabelled"
LAYOUT = "expected {root}/train/<class>/* with val and test next to train, or {root}/<class>/*"
# Placeholder for the data set's config path, which `jlrun.runs.datasets` fills in.
WHERE = "dataset.root"
_MISTAKEN_FOR_VAL = ("valid", "validation", "dev")


def num_images(root: Path) -> dict[str, dict[str, int]]:
    """Return split -> class -> its images, of `split_folders`; those without a class are left out.

    Raises:
        UserError: if the folder is laid out in another way.
    """
    found = {name: folder for name, folder in split_folders(root).items() if name != UNLABELLED}
    return {
        split: {name: sum(1 for _ in image_paths(folder / name)) for name in folder_names(folder)}
        for split, folder in found.items()
        if folder.name != UNLABELLED
    }


def split_folders(root: Path) -> dict[str, Path]:
    """Return split -> folder that holds class folders; only ``train`` is always there."""
    if not root.is_dir():
        found = "is a file" if root.exists() else "no such folder"
        raise wrong_layout(root, root, found)
    names = folder_names(root)
    train = root / "train"
    # A class may have the name "train": then it has images, and other classes next to it.
    reserved = {"train", "val", "test", UNLABELLED}
    if "train" in names and (folder_names(train) or not set(names) - reserved):
        for name in _MISTAKEN_FOR_VAL:
            if name in names and "val" not in names:
                found = f"'{root}' has '{name}' next to train; rename it to val"
                raise UserError.of(WHERE, found)
        splits = ("train", "val", "test", UNLABELLED)
        return {split: root / split for split in splits if split in names}
    if UNLABELLED in names and set(names) <= {"val", "test", UNLABELLED}:
        splits = {split: root / split for split in ("val", "test") if split in names}
        return {"train": root / UNLABELLED, **splits}
    if names and set(names) <= {"val", "test"}:
        raise wrong_layout(root, root, f"found {' and '.join(names)}, but no train")
    return {"train": root}


def folder_names(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, in order."""
    return sorted(entry.name for entry in _entries(folder) if entry.is_dir())


def image_paths(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yield the image files in a folder and below; links are followed, but not in circles."""
    here = os.path.realpath(folder)
    if here in above:
        return
    for entry in _entries(folder):
        if entry.is_dir():
            yield from image_paths(Path(entry.path), (*above, here))
        elif is_image_name(entry.name):
            yield Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise UserError.of(str(folder), f"can't be listed: {error.strerror}") from error


def wrong_layout(root: Path, folder: Path, found: str) -> UserError:
    """Return the error for a folder that is laid out in another way."""
    return UserError.of(WHERE, f"'{root}': {found}; {LAYOUT.format(root=root)}")
