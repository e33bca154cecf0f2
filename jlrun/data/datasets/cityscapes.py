"""Cityscapes: streets, with segmentation and disparity."""

from __future__ import annotations

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.npy_scenes import read_scenes, scene_folder

CLASSES = ("flat", "construction", "object", "nature", "sky", "human", "vehicle")


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
    return read_scenes(folder, {"segmentation": label, "depth": "depth"}, CLASSES)
