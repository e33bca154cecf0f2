"""Benchmarks of domain adaptation: Office-31, Office-Home, PACS, DomainNet and VisDA-2017."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.domain_folders import (
    check_first,
    find_folder,
    find_lists,
    folder_rows,
    labelled_photos,
    listed_rows,
    photo_spec,
    read_image_list,
    shared_classes,
    subfolders,
)
from jlrun.data.reading.image_files import image_rows
from jlrun.data.rows import FileRows
from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError
from jlrun.ranges import PositiveInt

OFFICE_31 = "https://faculty.cc.gatech.edu/~judy/domainadapt"
OFFICE_HOME = "https://www.hemanthdv.org/officeHomeDataset.html"
DOMAINS_31 = ("amazon", "dslr", "webcam")
DOMAINS_HOME = ("Art", "Clipart", "Product", "Real_World", "Real World")


def load_office31(
    root: str,
    domain: Literal["amazon", "dslr", "webcam"],
    size: PositiveInt = 224,
    mean: list[float] | None = None,
    std: list[float] | None = None,
) -> Dataset:
    """Return the photos of one domain of Office-31, with the task ``label``: one of 31 objects.

    Saenko et al., "Adapting Visual Category Models to New Domains", ECCV 2010. The layout is
    ``root/<domain>/<class>/*`` or, as published, ``root/<domain>/images/<class>/*``. There is no
    official split. The classes are those of all domains that are there.

    Args:
        root: the folder above the domains.
        domain: amazon has 2,817 images, dslr 498, webcam 795.
        size: height and width to which images are cropped and resized.
        mean: of each channel, for values in [0, 1]; None: measured.
        std: likewise.

    Raises:
        UserError: naming the folder that is missing, empty or laid out in another way.
    """
    folder = _domain_folder(root, [domain], f"Office-31 is at {OFFICE_31}")
    domains = [_inner(folder.parent / name) for name in DOMAINS_31]
    return _load_office(_inner(folder), domains, size, mean, std)


def load_office_home(
    root: str,
    domain: Literal["Art", "Clipart", "Product", "Real_World"],
    size: PositiveInt = 224,
    mean: list[float] | None = None,
    std: list[float] | None = None,
) -> Dataset:
    """Return the images of one domain of Office-Home, with the task ``label``: one of 65 objects.

    Venkateswara et al., "Deep Hashing Network for Unsupervised Domain Adaptation", CVPR 2017. The
    layout is ``root/<domain>/<class>/*``; the folder of Real_World may be ``Real World``, as
    published. There is no official split. The classes are those of all domains that are there.

    Args:
        root: the folder above the domains.
        domain: Art has 2,427 images, Clipart 4,365, Product 4,439, Real_World 4,357.
        size: height and width to which images are cropped and resized.
        mean: of each channel, for values in [0, 1]; None: measured.
        std: likewise.

    Raises:
        UserError: as `load_office31`.
    """
    names = [domain, domain.replace("_", " ")]
    folder = _domain_folder(root, names, f"Office-Home is at {OFFICE_HOME}")
    return _load_office(folder, [folder.parent / name for name in DOMAINS_HOME], size, mean, std)


def _load_office(
    folder: Path,
    domains: Sequence[Path],
    size: int,
    mean: list[float] | None,
    std: list[float] | None,
) -> Dataset:
    spec = photo_spec(size, mean, std)
    classes = shared_classes(domain for domain in domains if domain.is_dir())
    rows = folder_rows(folder, classes, spec)
    return labelled_photos((rows, None, None), classes, spec)


def _inner(folder: Path) -> Path:
    return folder / "images" if (folder / "images").is_dir() else folder


def _domain_folder(root: str, names: list[str], source: str) -> Path:
    return find_folder(root, [""], names, "with a folder per class", source)


PACS_SOURCE = "https://dali-dl.github.io/project_iccv2017.html"
PACS_DOMAINS = ("art_painting", "cartoon", "photo", "sketch")
PACS_FOLDERS = ("PACS/kfold", "PACS", "pacs/images", "pacs", "kfold", "")
PACS_LISTS = ("pacs_label", "splits", "Train val splits and h5py files pre-read", "")
# A faulty image, which other readers of the published lists leave out, too.
PACS_FAULTY = frozenset({"sketch/dog/n02103406_4068-1.png"})


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
    holds = f"with a folder per class (in {', '.join(place for place in PACS_FOLDERS if place)})"
    folder = find_folder(root, PACS_FOLDERS, [domain], holds, f"PACS is at {PACS_SOURCE}")
    base, spec = folder.parent, photo_spec(size, mean, std)
    classes = shared_classes(base / name for name in PACS_DOMAINS if (base / name).is_dir())
    places = [above / name for above in (base, base.parent) for name in PACS_LISTS]
    lists = find_lists(places, f"{domain}_train_kfold.txt", f"{domain}_crossval_kfold.txt")
    if lists is None:
        rows = folder_rows(folder, classes, spec)
        return labelled_photos((rows, None, None), classes, spec)
    train, val = (listed_rows(path, base, classes, spec, PACS_FAULTY) for path in lists)
    return labelled_photos((train, val, None), classes, spec)


DOMAINNET_SOURCE = "https://ai.bu.edu/M3SDA"
DOMAINNET_DOMAINS = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")
DOMAINNET_FOLDERS = ("domainnet", "DomainNet", "domain_net", "")
DOMAINNET_LISTS = ("", "splits")
_log = logging.getLogger(__name__)


def load_domainnet(
    root: str,
    domain: Literal["clipart", "infograph", "painting", "quickdraw", "real", "sketch"],
    size: PositiveInt = 224,
    mean: list[float] | None = None,
    std: list[float] | None = None,
) -> Dataset:
    """Return the images of one domain of DomainNet, with the task ``label``: one of 345 objects.

    Peng et al., "Moment Matching for Multi-Source Domain Adaptation", ICCV 2019. The layout is
    ``<domain>/<class>/*.jpg`` below ``root/domainnet`` (or DomainNet, domain_net) or ``root``, with
    the published lists ``<domain>_train.txt`` and ``<domain>_test.txt`` next to the domains or in
    ``splits``: they are the official split. Without them, all images are used and test rows are
    drawn. The classes are those of all domains found; one of them is in no training list of
    painting.

    Args:
        root: the folder above the data set.
        domain: of the cleaned version, clipart has 48,129 images, infograph 51,605, painting
            72,266, quickdraw 172,500, real 172,947, sketch 69,128.
        size: height and width to which images are cropped and resized.
        mean: of each channel, for values in [0, 1]; None: measured.
        std: likewise.

    Raises:
        UserError: naming the folder or list that is missing, empty or laid out in another way.
    """
    holds = "with a folder per class"
    folder = find_folder(
        root, DOMAINNET_FOLDERS, [domain], holds, f"DomainNet is at {DOMAINNET_SOURCE}"
    )
    base, spec = folder.parent, photo_spec(size, mean, std)
    classes = shared_classes(base / name for name in DOMAINNET_DOMAINS if (base / name).is_dir())
    places = [base / name for name in DOMAINNET_LISTS]
    lists = find_lists(places, f"{domain}_train.txt", f"{domain}_test.txt")
    if lists is None:
        _log.info("no %s_train.txt in %s: test rows are drawn", domain, base)
        rows = folder_rows(folder, classes, spec)
        return labelled_photos((rows, None, None), classes, spec)
    train, test = (listed_rows(path, base, classes, spec) for path in lists)
    return labelled_photos((train, None, test), classes, spec)


VISDA_SOURCE = "https://github.com/VisionLearningGroup/taskcv-2017-public"
VISDA_FOLDERS = ("visda", "visda17", "visda2017", "visda-2017", "VisDA-2017", "")
VISDA_LIST = "image_list.txt"
VISDA_CLASSES = (
    *("aeroplane", "bicycle", "bus", "car", "horse", "knife"),
    *("motorcycle", "person", "plant", "skateboard", "train", "truck"),
)


def load_visda(
    root: str,
    domain: Literal["train", "validation", "test"],
    size: PositiveInt = 224,
    mean: list[float] | None = None,
    std: list[float] | None = None,
) -> Dataset:
    """Return one domain of VisDA-2017, with the task ``label``: one of 12 kinds of objects.

    Peng et al., "VisDA: The Visual Domain Adaptation Challenge", arXiv 2017, classification track:
    its splits are domains here. The layout is that of its archives, ``<domain>/<class>/*``
    below ``root/visda`` (or visda17, visda2017, visda-2017, VisDA-2017) or ``root``. The archive of
    ``test`` has no classes: its labels are lines like ``trunk01/18ea….jpg 11`` of the published
    ``image_list.txt``, which is expected in ``test`` or next to it. There is no official split
    within a domain.

    Args:
        root: the folder above the data set.
        domain: train has 152,397 renderings, validation 55,388 crops of MS COCO, test 72,372 of
            YouTube-BoundingBoxes.
        size: height and width to which images are cropped and resized.
        mean: of each channel, for values in [0, 1]; None: measured.
        std: likewise.

    Raises:
        UserError: naming the folder or list that is missing, empty or laid out in another way.
    """
    folder = find_folder(root, VISDA_FOLDERS, [domain], "of VisDA-2017", f"it is at {VISDA_SOURCE}")
    spec = photo_spec(size, mean, std)
    sorted_by_class = any(name in VISDA_CLASSES for name in subfolders(folder))
    if domain == "test" and not sorted_by_class:
        rows = _numbered_rows(folder, spec)
    else:
        rows = folder_rows(folder, VISDA_CLASSES, spec)
    return labelled_photos((rows, None, None), VISDA_CLASSES, spec)


def _numbered_rows(folder: Path, spec: ImageSpec) -> FileRows:
    path = next((p for p in (folder / VISDA_LIST, folder.parent / VISDA_LIST) if p.is_file()), None)
    if path is None:
        raise UserError.of(
            str(folder / VISDA_LIST),
            "is missing: it has the labels of the test images; it is "
            f"classification/data/{VISDA_LIST} of {VISDA_SOURCE}",
        )
    listed = read_image_list(path)
    if max(listed.numbers) >= len(VISDA_CLASSES):
        raise UserError.of(str(path), f"has the label {max(listed.numbers)}; expected 0 to 11")
    check_first(path, folder, listed.names)
    paths = [folder / name for name in listed.names]
    return image_rows(paths, {"label": torch.tensor(listed.numbers)}, spec)
