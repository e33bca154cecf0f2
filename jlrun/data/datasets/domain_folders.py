"""Domain folders: images sorted by domain and, within a domain, by class; classes are shared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from jlrun.data.dataset import Dataset, DatasetReport
from jlrun.data.datasets.image_report import ImageReport, OnError
from jlrun.data.reading.image_files import image_rows
from jlrun.data.reading.image_fit import Colour
from jlrun.data.reading.image_names import EXTENSIONS, is_image_name
from jlrun.data.rows import FileRows
from jlrun.data.specs import BACKGROUND, ImageSpec, Resize
from jlrun.errors import UserError, did_you_mean
from jlrun.files.regular import check_regular
from jlrun.ranges import PositiveInt
from jlrun.wording import counted

CHANNELS = 3
_LEFT_BY_ARCHIVES = "__MACOSX"


def find_folder(
    root: str, above: Sequence[str], names: Sequence[str], holds: str, source: str
) -> Path:
    """Return the first existing folder of ``root/<above>/<name>``.

    Args:
        root: as the user gave it.
        above: folders that may contain the data set, ``""`` for the root itself.
        names: possible names of the folder, the usual one first.
        holds: its expected content, for the error.
        source: where to get it, likewise.

    Raises:
        UserError: if none exists.
    """
    base = Path(root).expanduser()
    candidates = [base / place / name for place in above for name in names]
    found = next((folder for folder in candidates if folder.is_dir()), None)
    if found is None:
        raise UserError.of(f"data_root={root}", f"has no folder '{names[0]}' {holds}; {source}")
    return found


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted, without hidden ones.

    Raises:
        UserError: if it can't be listed.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise UserError.of(str(folder), f"can't be listed: {error.strerror}") from error
    return [name for name in names if not name.startswith(".") and name != _LEFT_BY_ARCHIVES]


def shared_classes(domains: Iterable[Path]) -> tuple[str, ...]:
    """Return the classes with images in at least one of the domains' folders, sorted."""
    return tuple(
        sorted(
            {
                name
                for domain in domains
                for name in subfolders(domain)
                if next(_images(domain / name), None) is not None
            }
        )
    )


def folder_rows(domain: Path, classes: Sequence[str], spec: ImageSpec) -> FileRows:
    """Return the images below ``domain/<class>``, with the task ``label``.

    Raises:
        UserError: if there are none.
    """
    images = folder_images(domain, classes)
    return image_rows(list(images), {"label": torch.tensor(list(images.values()))}, spec)


def folder_images(domain: Path, classes: Sequence[str]) -> dict[Path, int]:
    """Return the images below ``domain/<class>``, each with the label of its class.

    Raises:
        UserError: if there are none.
    """
    found = {
        image: label
        for label, name in enumerate(classes)
        for image in sorted(_images(domain / name))
    }
    if not found:
        raise UserError.of(
            str(domain), f"no class folders with images; images end in {', '.join(EXTENSIONS)}"
        )
    return found


def listed_rows(
    path: Path,
    folder: Path,
    classes: Sequence[str],
    spec: ImageSpec,
    skip: frozenset[str] = frozenset(),
) -> FileRows:
    """Return the images of a list, with the task ``label``: the name of the folder they lie in.

    The numbers of the list are not used: those of published lists begin with 0 or with 1.

    Args:
        path: the list.
        folder: what its paths are relative to.
        classes: names in the order of their labels.
        spec: of the images.
        skip: names in the list to leave out.

    Raises:
        UserError: for an unknown class; if the list or its first image can't be found.
    """
    names = [name for name in read_image_list(path).names if name not in skip]
    label = {name: index for index, name in enumerate(classes)}
    labels = []
    for name in names:
        found = Path(name).parent.name
        if found not in label:
            hint = did_you_mean(found, classes)
            raise UserError.of(str(path), f"the class of '{name}' has no folder.{hint}")
        labels.append(label[found])
    check_first(path, folder, names)
    paths = [folder / name for name in names]
    return image_rows(paths, {"label": torch.tensor(labels)}, spec)


def find_lists(folders: Iterable[Path], first: str, second: str) -> tuple[Path, Path] | None:
    """Return two lists from one of the folders; None if no folder has them.

    Raises:
        UserError: if only one of them exists.
    """
    for folder in folders:
        pair = folder / first, folder / second
        missing = [path for path in pair if not path.is_file()]
        if not missing:
            return pair
        if len(missing) == 1:
            found = next(path.name for path in pair if path not in missing)
            raise UserError.of(str(missing[0]), f"is missing next to {found}; have both or neither")
    return None


def check_first(path: Path, folder: Path, names: Sequence[str]) -> None:
    """Check that the images of a list exist.

    Raises:
        UserError: if the first one does not.
    """
    if not (folder / names[0]).is_file():
        raise UserError.of(str(path), f"names '{names[0]}', but there is no {folder / names[0]}")


def labelled_photos(
    splits: tuple[FileRows, FileRows | None, FileRows | None],
    classes: tuple[str, ...],
    spec: ImageSpec,
    report: DatasetReport | None = None,
) -> Dataset:
    """Return a data set of RGB images with the task ``label``.

    Args:
        splits: training, validation and test rows; the latter two None if they are to be drawn.
        classes: names in the order of their labels.
        spec: of the images.
        report: on their files.
    """
    train, val, test = splits
    return Dataset(
        train=train,
        val=val,
        test=test,
        modalities={"image": spec},
        classes={"label": classes},
        report=report,
    )


def photo_spec(
    size: int,
    mean: list[float] | None,
    std: list[float] | None,
    resize: Resize = "crop",
    background: str = BACKGROUND,
) -> ImageSpec:
    """Return the spec of square RGB images.

    Args:
        size: height and width in pixels.
        mean: of each channel, for values in [0, 1]; None: measured.
        std: likewise.
        resize, background: see `jlrun.data.reading.image_fit`.

    Raises:
        UserError: for statistics that are not three, or not positive.
    """
    statistics = _statistic("mean", mean), _statistic("std", std)
    return ImageSpec(CHANNELS, size, size, *statistics, resize, background)


def _statistic(name: str, values: list[float] | None) -> tuple[float, ...]:
    if values is not None and len(values) != CHANNELS:
        found = counted(len(values), "value")
        raise UserError.of(name, f"{found}; give one for each of {CHANNELS} channels")
    if name == "std" and any(value <= 0 for value in values or ()):
        raise UserError.of(name, f"{values} must be positive")
    return tuple(values or ())


def _images(folder: Path) -> Iterator[Path]:
    """Yield the image files below a folder, in any order; none if it does not exist."""
    for path in folder.rglob("*"):
        if is_image_name(path.name) and not path.name.startswith("."):
            yield path


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


def load_domains(
    root: str,
    domain: str | None = None,
    size: PositiveInt = 64,
    mean: list[float] | None = None,
    std: list[float] | None = None,
    resize: Resize = "crop",
    background: Colour = BACKGROUND,
    on_error: OnError = "fail",
) -> Dataset:
    """Return the images of one domain, with the task ``label``: the name of their folder.

    The layout is ``root/<domain>/<class>/*``. The classes are those of all domains together, in the
    order of their names, so that a label has the same meaning in each. Images may be in folders
    within a class folder. There is no official split.

    Args:
        root: the folder above the domains.
        domain: name of one of its folders; None: an error that lists their names.
        size: height and width of the images, to which they are resized.
        mean: of each channel, for values in [0, 1]; None: measured.
        std: likewise.
        resize: ``crop`` to a square first, ``pad`` to one, or ``squeeze`` into one.
        background: colour of the padding and under transparent pixels.
        on_error: ``fail`` for files that can't be read, or ``skip`` them.

    Raises:
        UserError: naming the folder that is missing or empty.
    """
    base = Path(root).expanduser()
    names = subfolders(base)
    if domain not in names:
        hint = did_you_mean(str(domain), names) or " It has no folders."
        raise UserError.of(
            f"domain={'null' if domain is None else domain}",
            f"expected the name of a folder in {base}, one per domain with classes in it.{hint}",
        )
    classes = shared_classes(base / name for name in names)
    spec = photo_spec(size, mean, std, resize, background)
    images = folder_images(base / domain, classes)
    report = ImageReport.of(list(images), spec, on_error)
    left = report.left(images.items(), classes)
    labels = torch.tensor([label for _, label in left])
    rows = image_rows([path for path, _ in left], {"label": labels}, spec)
    return labelled_photos((rows, None, None), classes, spec, report)
