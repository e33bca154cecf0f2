"""NYUv2: rooms, with segmentation, depth and surface normals."""

from __future__ import annotations

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.npy_scenes import read_scenes, scene_folder

CLASSES = (
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
MAPS = {"segmentation": "label", "depth": "depth", "normal": "normal"}


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
    return read_scenes(scene_folder(root, "nyuv2"), MAPS, CLASSES)
