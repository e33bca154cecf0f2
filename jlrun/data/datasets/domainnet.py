"""DomainNet: 345 kinds of objects in six domains."""

from __future__ import annotations

import logging
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

SOURCE = "https://ai.bu.edu/M3SDA"
DOMAINS = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")
FOLDERS = ("domainnet", "DomainNet", "domain_net", "")
LISTS = ("", "splits")
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
    folder = find_folder(root, FOLDERS, [domain], holds, f"DomainNet is at {SOURCE}")
    base = folder.parent
    classes = shared_classes(base / name for name in DOMAINS if (base / name).is_dir())
    places = [base / name for name in LISTS]
    lists = find_lists(places, f"{domain}_train.txt", f"{domain}_test.txt")
    if lists is None:
        _log.info("no %s_train.txt in %s: test rows are drawn", domain, base)
        rows = folder_rows(folder, classes, size)
        return labelled_photos((rows, None, None), classes, size, mean, std)
    train, test = (listed_rows(path, base, classes, size) for path in lists)
    return labelled_photos((train, None, test), classes, size, mean, std)
