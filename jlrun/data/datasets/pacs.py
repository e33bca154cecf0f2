"""PACS: seven kinds of objects in photos, art paintings, cartoons and sketches."""

from __future__ import annotations

from typing import Literal

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.domain_folders import (
    find_folder,
    find_lists,
    folder_rows,
    labelled_photos,
    listed_rows,
    shared_classes,
)
from jlrun.ranges import PositiveInt

SOURCE = "https://dali-dl.github.io/project_iccv2017.html"
DOMAINS = ("art_painting", "cartoon", "photo", "sketch")
FOLDERS = ("PACS/kfold", "PACS", "pacs/images", "pacs", "kfold", "")
LISTS = ("pacs_label", "splits", "Train val splits and h5py files pre-read", "")
# A faulty image, which other readers of the published lists leave out, too.
FAULTY = frozenset({"sketch/dog/n02103406_4068-1.png"})


def load_pacs(
    root: str,
    domain: Literal["art_painting", "cartoon", "photo", "sketch"],
    size: PositiveInt = 224,
    mean: list[float] | None = None,
    std: list[float] | None = None,
) -> Dataset:
    """Return the images of one domain of PACS, with the task ``label``: one of 7 kinds of objects.

    Li et al., "Deeper, Broader and Artier Domain Generalization", ICCV 2017. The layout is
    ``<domain>/<class>/*`` below ``root/PACS/kfold`` (as published), ``root/PACS``, ``root/kfold``
    or ``root``. Where the published lists ``<domain>_train_kfold.txt`` and ``_crossval_kfold.txt``
    are next to the domains, or in ``pacs_label`` or ``splits`` there or one folder above, they
    define the training and validation rows. The published list for tests has all images of a
    domain, for models trained on other domains; so test rows are drawn from the training rows
    instead.

    Args:
        root: the folder above the data set.
        domain: art_painting has 2,048 images, cartoon 2,344, photo 1,670, sketch 3,929.
        size: height and width to which images are cropped and resized; they have 227.
        mean: of each channel, for values in [0, 1]; None: measured.
        std: likewise.

    Raises:
        UserError: naming the folder or list that is missing, empty or laid out in another way.
    """
    holds = f"with a folder per class (in {', '.join(place for place in FOLDERS if place)})"
    folder = find_folder(root, FOLDERS, [domain], holds, f"PACS is at {SOURCE}")
    base = folder.parent
    classes = shared_classes(base / name for name in DOMAINS if (base / name).is_dir())
    places = [above / name for above in (base, base.parent) for name in LISTS]
    lists = find_lists(places, f"{domain}_train_kfold.txt", f"{domain}_crossval_kfold.txt")
    if lists is None:
        rows = folder_rows(folder, classes, size)
        return labelled_photos((rows, None, None), classes, size, mean, std)
    train, val = (listed_rows(path, base, classes, size, FAULTY) for path in lists)
    return labelled_photos((train, val, None), classes, size, mean, std)
