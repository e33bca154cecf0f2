"""Office-31 and Office-Home: photos of the same objects in several domains."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from jlrun.data.dataset import Dataset
from jlrun.data.imagefolder import load_imagefolder
from jlrun.errors import UserError
from jlrun.ranges import PositiveInt

OFFICE_31 = "https://faculty.cc.gatech.edu/~judy/domainadapt"
OFFICE_HOME = "https://www.hemanthdv.org/officeHomeDataset.html"


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
    official split.

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
    inner = folder / "images"
    return load_imagefolder(str(inner if inner.is_dir() else folder), size, 3, mean, std)


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
    published. There is no official split.

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
    return load_imagefolder(str(folder), size, 3, mean, std)


def _domain_folder(root: str, names: list[str], source: str) -> Path:
    base = Path(root).expanduser()
    found = next((base / name for name in names if (base / name).is_dir()), None)
    if found is None:
        raise UserError.of(
            f"data_root={root}", f"has no folder '{names[0]}' with a folder per class; {source}"
        )
    return found
