"""torchvision's sets, from small files in their real formats, and what is said where those fail."""

from __future__ import annotations

import bz2
import json
import pickle
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.torchvision_catalogue import CATALOGUE
from jlrun.data.datasets.torchvision_sets import Name, load_torchvision, quiet_download
from jlrun.data.rows import Rows
from jlrun.data.sources import load_all
from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError

REPOSITORY = Path(__file__).parents[3]
SHARED = REPOSITORY.parent / "shared" / "data"
TARGET = "jlrun.data.datasets.torchvision_sets.load_torchvision"
CONFIGS = {
    path.stem: config
    for path in sorted((REPOSITORY / "conf" / "dataset").glob("[!_]*.yaml"))
    if (config := yaml.safe_load(path.read_text())).get("_target_") == TARGET
}
RNG = np.random.default_rng(0)
TRAIN, TEST = 6, 4


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def write(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def picture(path: Path, size: tuple[int, int] = (10, 12)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(size[1], size[0], 3)).save(path)


# Each writer makes a small set on disk, and returns what it put there where that is worth a look:
# the training images (N, C, H, W) and the labels of the main task.
Written = tuple[np.ndarray, list[int]] | None


def idx(kind: int, array: np.ndarray) -> bytes:
    return (
        struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()
    )


def write_idx(folder: Path, train: str, test: str, first_label: int = 0) -> Written:
    images = pixels(TRAIN, 28, 28)
    targets = [(i * 3) % 10 + first_label for i in range(TRAIN)]
    write(folder / f"{train}-images-idx3-ubyte", idx(8, images))
    write(folder / f"{train}-labels-idx1-ubyte", idx(8, np.array(targets, np.uint8)))
    write(folder / f"{test}-images-idx3-ubyte", idx(8, pixels(TEST, 28, 28)))
    write(folder / f"{test}-labels-idx1-ubyte", idx(8, np.ones(TEST, np.uint8)))
    return images[:, None], [target - first_label for target in targets]


def write_emnist(root: Path) -> Written:
    for variant in ("letters", "balanced"):
        written = write_idx(
            root / "EMNIST" / "raw",
            f"emnist-{variant}-train",
            f"emnist-{variant}-test",
            first_label=1 if variant == "letters" else 0,
        )
    assert written is not None
    return written[0].swapaxes(2, 3), written[1]


def write_qmnist(root: Path) -> Written:
    folder, images = root / "QMNIST" / "raw", pixels(TRAIN, 28, 28)
    targets = np.arange(TRAIN)
    for split, rows in (("train", TRAIN), ("test", TEST)):
        meta = np.tile(targets[:rows, None], (1, 8)).astype(">i4")
        meta[:, 1:] = 77
        write(folder / f"qmnist-{split}-images-idx3-ubyte", idx(8, images[:rows]))
        write(folder / f"qmnist-{split}-labels-idx2-int", idx(12, meta))
    return images[:, None], targets.tolist()


def write_usps(root: Path) -> Written:
    images, targets = pixels(TRAIN, 16, 16), [9, 0, 1, 2, 3, 4]
    lines = [
        f"{target + 1} " + " ".join(f"{i}:{v / 255 * 2 - 1}" for i, v in enumerate(x.ravel(), 1))
        for x, target in zip(images, targets, strict=True)
    ]
    for name in ("usps.bz2", "usps.t.bz2"):
        write(root / name, bz2.compress("\n".join(lines).encode()))
    return None  # the text loses the last bit of some pixels


def write_semeion(root: Path) -> Written:
    images = RNG.integers(0, 2, (TRAIN, 256))
    one_hot = np.eye(10, dtype=int)[[3, 1, 4, 1, 5, 9]]
    np.savetxt(root / "semeion.data", np.hstack([images, one_hot]), fmt="%d")
    return (images * 255).reshape(-1, 1, 16, 16), [3, 1, 4, 1, 5, 9]


def write_svhn(root: Path) -> Written:
    from scipy.io import savemat

    images, stored = pixels(TRAIN, 3, 32, 32), [10, 1, 2, 3, 9, 10]
    for name in ("train", "test"):
        columns = {"X": images.transpose(2, 3, 1, 0), "y": np.array(stored)[:, None]}
        savemat(root / f"{name}_32x32.mat", columns)
    return images, [label % 10 for label in stored]


def write_cifar(folder: Path, train: list[str], test: str, keys: tuple[str, str], meta) -> Written:
    images, targets = pixels(TRAIN, 3, 32, 32), [5, 4, 3, 2, 1, 0]
    each = TRAIN // min(TRAIN, len(train))
    for i, name in enumerate(train):
        some = slice(i * each, (i + 1) * each if i < len(train) - 1 else None)
        content = {"data": images[some].reshape(-1, 3072), keys[0]: targets[some]}
        write(folder / name, pickle.dumps(content))
    write(folder / test, pickle.dumps({"data": pixels(TEST, 3072), keys[0]: [0] * TEST}))
    write(folder / keys[1], pickle.dumps(meta))
    return images, targets


def write_cifar10(root: Path) -> Written:
    names = [*"ABCDEFGHIJ"]
    return write_cifar(
        root / "cifar-10-batches-py",
        [f"data_batch_{i}" for i in range(1, 6)],
        "test_batch",
        ("labels", "batches.meta"),
        {"label_names": names},
    )


def cifar100_names() -> list[str]:
    members = CATALOGUE["CIFAR100"].derived[0].members
    return sorted(fine for group in members.values() for fine in group)


def write_cifar100(root: Path) -> Written:
    meta = {"fine_label_names": cifar100_names()}
    folder = root / "cifar-100-python"
    return write_cifar(folder, ["train"], "test", ("fine_labels", "meta"), meta)


def write_stl10(root: Path) -> Written:
    images, folder = pixels(TRAIN, 3, 96, 96), root / "stl10_binary"
    for split in ("train", "test"):
        write(folder / f"{split}_X.bin", images.swapaxes(2, 3).tobytes())
        write(folder / f"{split}_y.bin", bytes(range(1, TRAIN + 1)))
    write(folder / "unlabeled_X.bin", b"")
    return images, [*range(TRAIN)]


def write_pets(root: Path) -> Written:
    folder = root / "oxford-iiit-pet"
    names = ["Abyssinian_1", "pug_1", "pug_2"]
    for name in names:
        picture(folder / "images" / f"{name}.jpg")
    lines = "Abyssinian_1 1 1 1\npug_1 2 2 1\npug_2 2 2 2\n"
    for split in ("trainval", "test"):
        write(folder / "annotations" / f"{split}.txt", lines)
    return None


def write_flowers(root: Path) -> Written:
    from scipy.io import savemat

    folder = root / "flowers-102"
    for i in range(1, 7):
        picture(folder / "jpg" / f"image_{i:05d}.jpg")
    savemat(folder / "imagelabels.mat", {"labels": np.array([[1, 2, 3, 100, 101, 102]])})
    splits = {"trnid": [1, 2], "valid": [3, 4], "tstid": [5, 6]}
    savemat(folder / "setid.mat", {name: np.array([ids]) for name, ids in splits.items()})
    return None


def write_gtsrb(root: Path) -> Written:
    folder = root / "gtsrb"
    for i in range(43):
        picture(folder / "GTSRB" / "Training" / f"{i:05d}" / "00000_00000.ppm")
    picture(folder / "GTSRB" / "Final_Test" / "Images" / "00000.ppm")
    write(folder / "GT-final_test.csv", "Filename;Width;Height;ClassId\n00000.ppm;10;12;42\n")
    return None


def write_food(root: Path) -> Written:
    folder, names = root / "food-101", ["apple_pie/1", "apple_pie/2", "waffles/3"]
    for name in names:
        picture(folder / "images" / f"{name}.jpg")
    for split in ("train", "test"):
        content = {"waffles": names[2:], "apple_pie": names[:2]}
        write(folder / "meta" / f"{split}.json", json.dumps(content))
    return None


def write_dtd(root: Path) -> Written:
    for name in ("banded/1.jpg", "woven/2.jpg"):
        picture(root / "dtd" / "dtd" / "images" / name)
        for split in ("train", "val", "test"):
            for partition in (1, 2):
                file = root / "dtd" / "dtd" / "labels" / f"{split}{partition}.txt"
                before = file.read_text() if file.exists() else ""
                write(file, f"{before}{name}\n")
    return None


def write_eurosat(root: Path) -> Written:
    for name in ("Forest/Forest_1.jpg", "River/River_1.jpg"):
        picture(root / "eurosat" / "2750" / name, (64, 64))
    return None


def write_aircraft(root: Path) -> Written:
    folder = root / "fgvc-aircraft-2013b" / "data"
    picture(folder / "images" / "0001.jpg")
    picture(folder / "images" / "0002.jpg")
    files = {"variant": "variants", "family": "families", "manufacturer": "manufacturers"}
    for level, file in files.items():
        write(folder / f"{file}.txt", f"{level} 1\n{level} 2\n")
        for split in ("train", "val", "test"):
            write(folder / f"images_{level}_{split}.txt", f"0001 {level} 1\n0002 {level} 2\n")
    return None


def write_caltech101(root: Path) -> Written:
    folder = root / "caltech101" / "101_ObjectCategories"
    for name in ("ant/image_0001", "ant/image_0002", "bass/image_0001"):
        picture(folder / f"{name}.jpg")
    (folder / "BACKGROUND_Google").mkdir()
    return None


def write_caltech256(root: Path) -> Written:
    for name in ("001.ak47/001_0001", "002.american-flag/002_0001"):
        picture(root / "caltech256" / "256_ObjectCategories" / f"{name}.jpg")
    return None


def write_country211(root: Path) -> Written:
    for split in ("train", "valid", "test"):
        for country in ("AD", "ZW"):
            picture(root / "country211" / split / country / "1.jpg")
    return None


def write_imagenette(root: Path) -> Written:
    for split in ("train", "val"):
        for wnid in ("n01440764", "n02102040"):
            picture(root / "imagenette2-160" / split / wnid / "1.JPEG")
    return None


def write_sst2(root: Path) -> Written:
    for split in ("train", "valid", "test"):
        for label in ("negative", "positive"):
            picture(root / "rendered-sst2" / split / label / "1.png")
    return None


def write_sun397(root: Path) -> Written:
    for name in ("a/abbey/sun_b.jpg", "a/abbey/sun_a.jpg", "a/apse/indoor/sun_c.jpg"):
        picture(root / "SUN397" / name)
    write(root / "SUN397" / "ClassName.txt", "/a/abbey\n/a/apse/indoor\n")
    return None


def write_cars(root: Path) -> Written:
    from scipy.io import savemat

    folder = root / "stanford_cars"
    for split in ("train", "test"):
        for i in (1, 2):
            picture(folder / f"cars_{split}" / f"{i}.jpg")
    kinds = [("fname", "O"), ("class", "O")]
    annotations = {"annotations": np.array([("1.jpg", 1), ("2.jpg", 2)], dtype=kinds)}
    (folder / "devkit").mkdir()
    savemat(folder / "devkit" / "cars_train_annos.mat", annotations)
    savemat(folder / "cars_test_annos_withlabels.mat", annotations)
    names = np.array(["Audi", "BMW"], dtype=object)
    savemat(folder / "devkit" / "cars_meta.mat", {"class_names": names})
    return None


WRITERS: dict[str, Callable[[Path], Written]] = {
    "MNIST": lambda root: write_idx(root / "MNIST" / "raw", "train", "t10k"),
    "FashionMNIST": lambda root: write_idx(root / "FashionMNIST" / "raw", "train", "t10k"),
    "KMNIST": lambda root: write_idx(root / "KMNIST" / "raw", "train", "t10k"),
    "EMNIST": write_emnist,
    "QMNIST": write_qmnist,
    "USPS": write_usps,
    "SEMEION": write_semeion,
    "SVHN": write_svhn,
    "CIFAR10": write_cifar10,
    "CIFAR100": write_cifar100,
    "STL10": write_stl10,
    "OxfordIIITPet": write_pets,
    "Flowers102": write_flowers,
    "GTSRB": write_gtsrb,
    "Food101": write_food,
    "DTD": write_dtd,
    "EuroSAT": write_eurosat,
    "FGVCAircraft": write_aircraft,
    "Caltech101": write_caltech101,
    "Caltech256": write_caltech256,
    "Country211": write_country211,
    "Imagenette": write_imagenette,
    "RenderedSST2": write_sst2,
    "SUN397": write_sun397,
    "StanfordCars": write_cars,
}
each_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


@pytest.fixture
def no_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small sets of these tests have other checksums than the real ones."""
    for module in ("cifar", "svhn", "stl10", "semeion", "flowers102"):
        checked = f"torchvision.datasets.{module}.check_integrity"
        monkeypatch.setattr(checked, lambda path, md5=None: Path(path).is_file())


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """No address resolves; the list gets the time limit of every attempt."""
    limits: list[float | None] = []

    def fail(*args: object, **keys: object) -> None:
        limits.append(socket.getdefaulttimeout())
        print("junk")
        print("junk", file=sys.stderr)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    return limits


def load(config: dict, root: Path, **changes) -> Dataset:
    keys = {key: config[key] for key in ("name", "download", "size", "variant")}
    return load_torchvision(root=str(root), **{**keys, **changes})


def everything(rows: Rows) -> tuple[Tensor, dict[str, Tensor]]:
    batch = load_all(rows, torch.device("cpu"))
    return batch.inputs["image"], dict(batch.targets)


def test_every_set_has_a_config_and_a_writer() -> None:
    names = [config["name"] for config in CONFIGS.values()]
    assert sorted(names) == sorted(CATALOGUE) == sorted(get_args(Name)) == sorted(WRITERS)


@each_config
def test_a_set_loads_from_files_in_its_format(
    config: dict, tmp_path: Path, no_checksums: None
) -> None:
    written = WRITERS[config["name"]](tmp_path)
    dataset = load(config, tmp_path, download=False)
    spec = dataset.modalities["image"]
    assert isinstance(spec, ImageSpec)
    assert list(dataset.modalities) == config["modalities"]
    assert list(dataset.classes) == list(config["tasks"])
    for rows in (dataset.train, dataset.val, dataset.test):
        if rows is None:
            continue
        images, targets = everything(rows)
        assert images.dtype == torch.uint8
        assert images.shape[1:] == (spec.channels, spec.height, spec.width)
        assert rows.num_bytes == images.numel()
        assert list(targets) == list(dataset.classes)
        for task, column in targets.items():
            assert column.dtype == torch.int64
            assert column.shape == (len(rows),)
            assert 0 <= column.min() <= column.max() < len(dataset.classes[task])
    if written is not None:
        images, targets = everything(dataset.train)
        assert torch.equal(images, torch.as_tensor(written[0].copy()).byte())
        assert targets[next(iter(dataset.classes))].tolist() == written[1]


@each_config
def test_missing_files_are_named(config: dict, tmp_path: Path, no_network: list) -> None:
    with pytest.raises(UserError) as caught:
        load(config, tmp_path / "data", download=False)
    message = str(caught.value)
    assert message.startswith(f"data_root={tmp_path / 'data'}: {config['name']} needs ")
    assert "\n" not in message
    assert "{}" not in message
    assert no_network == []


@each_config
def test_a_failed_download_is_one_line_and_leaves_nothing(
    config: dict, tmp_path: Path, no_network: list, capfd: pytest.CaptureFixture
) -> None:
    with pytest.raises(UserError) as caught:
        load(config, tmp_path / "data")
    message = str(caught.value)
    assert "\n" not in message
    if CATALOGUE[config["name"]].downloadable:
        assert message.endswith("download failed: [Errno -2] Name or service not known")
        assert no_network
        assert all(limit is not None and limit <= 10 for limit in no_network)
    assert socket.getdefaulttimeout() is None
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "data").exists()


def test_the_message_says_which_file_goes_where(tmp_path: Path) -> None:
    WRITERS["MNIST"](tmp_path)
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError) as caught:
        load_torchvision("MNIST", str(tmp_path), download=False)
    assert str(caught.value) == (
        f"data_root={tmp_path}: MNIST needs t10k-labels-idx1-ubyte in {tmp_path}/MNIST/raw; "
        "set data_root to where they are, or download=true"
    )


@pytest.mark.parametrize("damage", ["empty", "text", "truncated"])
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("MNIST", "MNIST/raw/train-images-idx3-ubyte"),
        ("MNIST", "MNIST/raw/train-labels-idx1-ubyte"),
        ("USPS", "usps.bz2"),
        ("SVHN", "train_32x32.mat"),
        ("CIFAR10", "cifar-10-batches-py/data_batch_1"),
        ("STL10", "stl10_binary/train_X.bin"),
        ("SEMEION", "semeion.data"),
        ("Flowers102", "flowers-102/setid.mat"),
    ],
)
def test_a_damaged_file_is_one_line(
    name: Name, file: str, damage: str, tmp_path: Path, no_checksums: None, no_network: list
) -> None:
    WRITERS[name](tmp_path)
    whole = (tmp_path / file).read_bytes()
    content = {
        "empty": b"",
        "text": b"<html>not found</html>",
        "truncated": whole[: len(whole) * 3 // 5],
    }[damage]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_torchvision(name, str(tmp_path), size=8)
    message = str(caught.value)
    assert message.startswith(f"data_root={tmp_path}: the train split of {name} can't be read (")
    assert "\n" not in message
    assert Path(file).name in message
    assert no_network == []


def test_a_wrong_checksum_is_a_damaged_file(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    with pytest.raises(UserError, match=r"CIFAR10 can't be read \(Dataset not found or corrupted"):
        load_torchvision("CIFAR10", str(tmp_path))


def test_labels_and_images_that_do_not_match(tmp_path: Path) -> None:
    WRITERS["MNIST"](tmp_path)
    file = tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    file.write_bytes(idx(8, np.zeros(TRAIN - 1, np.uint8)))
    with pytest.raises(UserError, match="6 images, but 5 labels"):
        load_torchvision("MNIST", str(tmp_path))
    file.write_bytes(idx(8, np.full(TRAIN, 10, np.uint8)))
    with pytest.raises(UserError, match=r"label 10 is outside 0\.\.9"):
        load_torchvision("MNIST", str(tmp_path))


def test_variants(tmp_path: Path) -> None:
    WRITERS["EMNIST"](tmp_path)
    letters = load_torchvision("EMNIST", str(tmp_path), variant="letters")
    assert letters.classes["label"][0] == "a"
    assert len(letters.classes["label"]) == 26
    assert len(load_torchvision("EMNIST", str(tmp_path)).classes["label"]) == 47
    write_dtd(tmp_path)
    assert len(load_torchvision("DTD", str(tmp_path), size=8, variant=2).train) == 2
    with pytest.raises(UserError, match=r"no variant 'leters'\. Did you mean 'letters'\?"):
        load_torchvision("EMNIST", str(tmp_path), variant="leters")
    with pytest.raises(UserError, match="MNIST has no variant 'digits'"):
        load_torchvision("MNIST", str(tmp_path), variant="digits")
    with pytest.raises(UserError, match="Did you mean 'MNIST'"):
        load_torchvision("MNIS", str(tmp_path))  # pyright: ignore[reportArgumentType]


def test_images_of_many_sizes_need_a_size(tmp_path: Path) -> None:
    write_food(tmp_path)
    with pytest.raises(UserError, match="size: Food101 has images of many sizes"):
        load_torchvision("Food101", str(tmp_path))


def test_images_in_memory_can_be_resized(tmp_path: Path) -> None:
    write_idx(tmp_path / "MNIST" / "raw", "train", "t10k")
    blank = np.full((TRAIN, 28, 28), 100, np.uint8)
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(idx(8, blank))
    dataset = load_torchvision("MNIST", str(tmp_path), size=20)
    assert torch.equal(everything(dataset.train)[0], torch.full((TRAIN, 1, 20, 20), 100).byte())


def test_derived_tasks(tmp_path: Path, no_checksums: None) -> None:
    write_semeion(tmp_path)
    assert everything(load_torchvision("SEMEION", str(tmp_path)).train)[1]["parity"].tolist() == [
        digit % 2 for digit in (3, 1, 4, 1, 5, 9)
    ]
    write_pets(tmp_path)
    pets = load_torchvision("OxfordIIITPet", str(tmp_path), size=8)
    assert pets.classes == {"label": ("Abyssinian", "Pug"), "species": ("cat", "dog")}
    assert pets.train.targets["species"].tolist() == [0, 1, 1]


def test_superclasses_of_cifar100_are_five_classes_each() -> None:
    """Labels of the classes in the original ``coarse_labels``, as listed with the data set."""
    superclass = CATALOGUE["CIFAR100"].derived[0]
    names = cifar100_names()
    assert (len(names), len(set(names)), len(superclass.members)) == (100, 100, 20)
    table = superclass.table(tuple(names))
    assert torch.tensor(table).bincount().tolist() == [5] * 20
    assert table[:10] == [4, 1, 14, 8, 0, 6, 7, 7, 18, 3]
    assert table[-10:] == [18, 1, 2, 15, 6, 0, 17, 8, 14, 13]


def test_one_set_lists_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    write_sun397(tmp_path)
    dataset = load_torchvision("SUN397", str(tmp_path), size=8)
    assert dataset.train.targets["label"].tolist() == [0, 0, 1]
    assert dataset.classes["label"] == ("abbey", "apse/indoor")


def test_a_time_limit_is_given_back() -> None:
    socket.setdefaulttimeout(77)
    try:
        with quiet_download(5):
            assert socket.getdefaulttimeout() == 5
        assert socket.getdefaulttimeout() == 77
    finally:
        socket.setdefaulttimeout(None)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not beside this checkout")
def test_the_real_mnist() -> None:
    dataset = load_torchvision("MNIST", str(SHARED))
    assert dataset.test is not None
    assert (len(dataset.train), len(dataset.test)) == (20_000, 10_000)
    assert dataset.classes["digit"] == tuple("0123456789")
    images, targets = everything(dataset.test)
    # The well-known counts of the test digits, and the mean that MNIST is normalised with.
    assert targets["digit"].bincount().tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    ]
    assert torch.equal(targets["parity"], targets["digit"] % 2)
    assert images.double().mean().item() / 255 == pytest.approx(0.1307, abs=0.003)
