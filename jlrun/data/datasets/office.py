"""Office-31 and Office-Home: photos of the same objects in several domains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.domain_folders import (
    find_folder,
    folder_rows,
    labelled_photos,
    shared_classes,
)
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
    return _load(_inner(folder), domains, size, mean, std)


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
    return _load(folder, [folder.parent / name for name in DOMAINS_HOME], size, mean, std)


def _load(
    folder: Path,
    domains: Sequence[Path],
    size: int,
    mean: list[float] | None,
    std: list[float] | None,
) -> Dataset:
    classes = shared_classes(domain for domain in domains if domain.is_dir())
    rows = folder_rows(folder, classes, size)
    return labelled_photos((rows, None, None), classes, size, mean, std)


def _inner(folder: Path) -> Path:
    return folder / "images" if (folder / "images").is_dir() else folder


def _domain_folder(root: str, names: list[str], source: str) -> Path:
    return find_folder(root, [""], names, "with a folder per class", source)
