"""Scenes with maps as targets, one ``.npy`` file for each row and kind of map.

The format of NYUv2 and Cityscapes in MTAN (Liu et al., "End-to-End Multi-Task Learning with
Attention", CVPR 2019) and LibMTL: ``{train,val}/{image,label,depth,normal}/{i}.npy``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.reading.arrays import ArrayFileError, load_array
from jlrun.data.rows import FileRows, deferred_column
from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError
from jlrun.tasks.dense import wrong_labels

# Those of ImageNet, which has natural images too: measuring would read all files before each run.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
UNLABELLED = 255
_BYTES_PER_PIXEL = {"image": 3, "segmentation": 1, "depth": 4, "normal": 12}


def read_scenes(folder: Path, maps: Mapping[str, str], classes: Sequence[str]) -> Dataset:
    """Return the data set in a folder; its official ``val`` part is the test split, as published.

    Args:
        folder: holds ``train`` and ``val``.
        maps: task (``segmentation``, ``depth`` or ``normal``) -> folder of its files.
        classes: of the task ``segmentation``.

    Returns:
        image uint8 ``(3, H, W)``; the tasks' maps, as `SceneReader` gives them, read with the
        images.

    Raises:
        UserError: naming what is missing, or the first file if it is of another form.
    """
    first = _files(folder / "train", maps)[0]
    height, width = _image(folder / "train" / "image" / first).shape[1:]

    def rows(split: str) -> FileRows:
        names = _files(folder / split, maps)
        reader = SceneReader(folder / split, names, maps, (height, width), len(classes))
        num_bytes = sum(_BYTES_PER_PIXEL[kind] for kind in ("image", *maps)) * height * width
        columns = {task: deferred_column(len(names)) for task in maps}
        return FileRows(
            reader.image, columns, num_bytes, decode_targets=reader.targets, files=reader.files
        )

    return Dataset(
        train=rows("train"),
        test=rows("val"),
        modalities={"image": ImageSpec(3, height, width, MEAN, STD)},
        classes={task: tuple(classes) if task == "segmentation" else () for task in maps},
    )


@dataclass(frozen=True)
class SceneReader:
    """Reader for the files of a row, which can be sent to other processes.

    Attributes:
        folder: of the split.
        names: file name of each row.
        maps: task -> folder of its files.
        size: height and width of every file.
        num_classes: of the labels.
    """

    folder: Path
    names: Sequence[str]
    maps: Mapping[str, str]
    size: tuple[int, int]
    num_classes: int

    def image(self, row: int) -> dict[str, Tensor]:
        """Return ``image``, uint8 ``(3, H, W)``: colours in [0, 1] are rounded to 8 bits."""
        path = self.folder / "image" / self.names[row]
        return {"image": self._sized(path, _image(path))}

    def targets(self, row: int) -> dict[str, Tensor]:
        """Return the row's maps.

        ``segmentation`` uint8 ``(H, W)``, 255 where unlabelled; ``depth`` float32 ``(H, W)``;
        ``normal`` float32 ``(3, H, W)``.
        """
        return {task: self._target(task, row) for task in self.maps}

    def files(self, row: int) -> tuple[str, ...]:
        """Return the files that a row is read from."""
        return tuple(str(self.folder / kind / self.names[row]) for kind in self._folders)

    @property
    def _folders(self) -> tuple[str, ...]:
        return ("image", *self.maps.values())

    def _target(self, task: str, row: int) -> Tensor:
        path = self.folder / self.maps[task] / self.names[row]
        match task:
            case "segmentation":
                return self._sized(path, _labels(path, self.num_classes))
            case "depth":
                return self._sized(path, _channels(path, 1)[0])
        return self._sized(path, _channels(path, 3))

    def _sized(self, path: Path, maps: Tensor) -> Tensor:
        if tuple(maps.shape[-2:]) != self.size:
            raise UserError.of(
                str(path),
                f"is {maps.shape[-2]} x {maps.shape[-1]} pixels; expected "
                f"{self.size[0]} x {self.size[1]} as in the first training image",
            )
        return maps


def scene_folder(root: str, name: str) -> Path:
    """Return ``root/name``, or ``root`` itself if it is the data set's folder.

    Raises:
        UserError: if neither has ``train`` and ``val``.
    """
    base = Path(root).expanduser()
    for folder in (base / name, base):
        if (folder / "train").is_dir() and (folder / "val").is_dir():
            return folder
    raise UserError.of(
        f"data_root={root}",
        f"found no {name}/train and {name}/val there. Get the preprocessed {name} that the MTAN "
        "repository (lorenmt/mtan) links to and unpack it there",
    )


def _files(folder: Path, maps: Mapping[str, str]) -> list[str]:
    """Return the file names of a split, in the order of their numbers."""
    found = {kind: _names(folder / kind) for kind in ("image", *maps.values())}
    names = found["image"]
    if not names:
        raise UserError.of(str(folder / "image"), "holds no files such as 0.npy")
    for kind, others in found.items():
        missing = sorted(names - others)
        if missing:
            raise UserError.of(
                str(folder / kind),
                f"{len(missing)} of {len(names)} files are missing, for example {missing[0]}",
            )
    return sorted(names, key=lambda name: (len(name), name))


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.npy")}


def _image(path: Path) -> Tensor:
    """Return uint8 ``(3, H, W)``."""
    colours = _channels(path, 3)
    if colours.min() < 0 or colours.max() > 1:
        raise UserError.of(
            str(path),
            f"colours from {float(colours.min()):g} to {float(colours.max()):g}; expected floats "
            "in [0, 1]",
        )
    return (colours * 255).round().to(torch.uint8)


def _labels(path: Path, num_classes: int) -> Tensor:
    labels = torch.from_numpy(_squeezed(path, _load(path)).astype(np.int64))
    wrong = wrong_labels(labels, num_classes)
    if wrong:
        raise UserError.of(str(path), wrong)
    return torch.where(labels < 0, UNLABELLED, labels).to(torch.uint8)


def _channels(path: Path, count: int) -> Tensor:
    """Return float32 ``(count, H, W)`` of a file ``(H, W, count)``, or ``(H, W)`` for one."""
    array = _load(path)
    if count == 1:
        array = _squeezed(path, array)[..., None]
    if array.ndim != 3 or array.shape[2] != count:
        raise _wrong_shape(path, array, f"(height, width, {count})")
    maps = torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1), dtype=np.float32))
    if not bool(torch.isfinite(maps).all()):
        raise UserError.of(str(path), "holds numbers that are not finite")
    return maps


def _squeezed(path: Path, array: np.ndarray) -> np.ndarray:
    """Return ``(H, W)``."""
    if array.ndim == 3 and array.shape[2] == 1:
        return array[:, :, 0]
    if array.ndim != 2:
        raise _wrong_shape(path, array, "(height, width)")
    return array


def _load(path: Path) -> np.ndarray:
    try:
        array = load_array(path)
    except ArrayFileError as error:
        raise UserError.of(str(path), f"not a readable array file ({error})") from error
    if array.dtype.kind not in "fiub" or array.size == 0:
        raise UserError.of(str(path), f"expected numbers, found {array.dtype} {array.shape}")
    return array


def _wrong_shape(path: Path, array: np.ndarray, expected: str) -> UserError:
    return UserError.of(str(path), f"expected an array {expected}, found {array.shape}")


NYUV2_CLASSES = (
    "bed",
    "books",
    "ceiling",
    "chair",
    "floor",
    "furniture",
    "objects",
    "picture",
    "sofa",
    "table",
    "tv",
    "wall",
    "window",
)
NYUV2_MAPS = {"segmentation": "label", "depth": "depth", "normal": "normal"}


def load_nyuv2(root: str) -> Dataset:
    """Return NYUv2 as preprocessed for MTAN: 795 images to train on and 654 to test on.

    Silberman et al., "Indoor Segmentation and Support Inference from RGBD Images", ECCV 2012, with
    the 13 classes of Couprie et al., "Indoor Semantic Segmentation using Depth Information", ICLR
    2013. Files and tasks: `jlrun.data.datasets.npy_scenes`.

    Args:
        root: holds ``nyuv2/{train,val}/{image,label,depth,normal}/{i}.npy``, or what is in nyuv2.

    Raises:
        UserError: naming what is missing or of another form.
    """
    return read_scenes(scene_folder(root, "nyuv2"), NYUV2_MAPS, NYUV2_CLASSES)


CITYSCAPES_CLASSES = ("flat", "construction", "object", "nature", "sky", "human", "vehicle")


def load_cityscapes(root: str) -> Dataset:
    """Return Cityscapes as preprocessed for MTAN: 2,975 images to train on and 500 to test on.

    Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016, with
    its 7 categories; ``depth`` is the disparity, inverse to the distance. Files and tasks:
    `jlrun.data.datasets.npy_scenes`.

    Args:
        root: holds ``cityscapes/{train,val}/{image,label_7,depth}/{i}.npy``, or what is in
            cityscapes; ``label`` may stand for ``label_7``.

    Raises:
        UserError: naming what is missing or of another form.
    """
    folder = scene_folder(root, "cityscapes")
    label = "label_7" if (folder / "train" / "label_7").is_dir() else "label"
    return read_scenes(folder, {"segmentation": label, "depth": "depth"}, CITYSCAPES_CLASSES)
