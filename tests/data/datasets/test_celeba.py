"""CelebA, from small files in its form."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from jlrun.data.datasets.celeba import load_celeba
from jlrun.data.sources import load_all
from jlrun.errors import UserError

CONF = Path(__file__).parents[3] / "conf" / "dataset" / "celeba.yaml"
TASKS = list(yaml.safe_load(CONF.read_text())["tasks"])
NAMES = ["_".join(part.capitalize() for part in task.split("_")) for task in TASKS]
PARTS = (0, 0, 0, 1, 2, 2)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six faces; the answers to all questions about face i are the bits of i."""
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    lines = [str(len(PARTS)), " ".join(NAMES) + " "]
    for i in range(len(PARTS)):
        answers = " ".join(f"{1 if i >> (k % 3) & 1 else -1:2d}" for k in range(len(NAMES)))
        lines.append(f"{i + 1:06d}.jpg {answers}")
        face = Image.new("RGB", (178, 218), (10 * i, 20 * i, 30 * i))
        face.save(folder / "img_align_celeba" / f"{i + 1:06d}.jpg")
    (folder / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    parts = [f"{i + 1:06d}.jpg {part}" for i, part in enumerate(PARTS)]
    (folder / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    return tmp_path


def complaint(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_all(load_celeba(str(root), size=8).train, torch.device("cpu"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def change(path: Path, old: str, new: str) -> None:
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new, 1))


def test_forty_binary_tasks_as_in_the_yaml(root: Path) -> None:
    dataset = load_celeba(str(root))
    assert len(TASKS) == 40
    assert list(dataset.classes) == TASKS
    assert set(dataset.classes.values()) == {("no", "yes")}
    assert list(dataset.train.targets) == TASKS


def test_official_splits_and_answers(root: Path) -> None:
    dataset = load_celeba(str(root))
    assert dataset.val is not None
    assert dataset.test is not None
    for rows, faces in ((dataset.train, [0, 1, 2]), (dataset.val, [3]), (dataset.test, [4, 5])):
        for k, task in enumerate(TASKS):
            assert rows.targets[task].tolist() == [i >> (k % 3) & 1 for i in faces]
            assert rows.targets[task].dtype == torch.int64


def test_images_are_those_of_the_rows(root: Path) -> None:
    rows = load_celeba(str(root), size=16).test
    assert rows is not None
    images = rows.fetch(torch.tensor([1, 0])).inputs["image"]
    assert images.dtype == torch.uint8
    assert images.shape == (2, 3, 16, 16)
    colours = torch.tensor([[50, 100, 150], [40, 80, 120]])
    assert ((images.double().mean(dim=(2, 3)) - colours).abs() < 3).all()  # JPEG is lossy
    assert rows.num_bytes == 2 * 3 * 16 * 16


def test_the_partition_may_be_in_another_order(root: Path) -> None:
    path = root / "celeba" / "list_eval_partition.txt"
    path.write_text("\n".join(reversed(path.read_text().splitlines())))
    assert load_celeba(str(root)).train.targets[TASKS[0]].tolist() == [0, 1, 0]


def test_without_validation_faces_the_runner_splits(root: Path) -> None:
    change(root / "celeba" / "list_eval_partition.txt", "000004.jpg 1", "000004.jpg 0")
    dataset = load_celeba(str(root))
    assert dataset.val is None
    assert len(dataset.train) == 4


@pytest.mark.parametrize(
    "name", ["list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba"]
)
def test_what_is_missing_is_named(root: Path, name: str) -> None:
    (root / "celeba" / name).rename(root / "elsewhere")
    message = complaint(root)
    assert message.startswith(f"data_root={root}: CelebA needs {name} in {root / 'celeba'}")
    assert "mmlab.ie.cuhk.edu.hk" in message


def test_images_in_another_folder(root: Path) -> None:
    images = root / "celeba" / "img_align_celeba"
    images.rename(root / "celeba" / "deeper")
    images.mkdir()
    (root / "celeba" / "deeper").rename(images / "img_align_celeba")
    assert complaint(root).startswith(f"{images}: has no 000001.jpg")


def test_an_image_that_has_gone(root: Path) -> None:
    path = root / "celeba" / "img_align_celeba" / "000002.jpg"
    path.unlink()
    assert complaint(root) == f"{path}: can't be read: No such file or directory"


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("list_attr_celeba.txt", "000001.jpg -1", "000001.jpg 2", "neither 1 nor -1 for 5_O_Clock"),
        ("list_attr_celeba.txt", "000003.jpg -1", "000003.jpg", "neither 1 nor -1 for Young"),
        ("list_attr_celeba.txt", "000001.jpg -1", "000001.jpg x", "000001.jpg has neither"),
        ("list_eval_partition.txt", "000003.jpg 0", "000003.jpg 3", "000003.jpg is not assigned"),
        ("list_eval_partition.txt", "000003.jpg 0\n", "", "000003.jpg is not assigned"),
        ("list_eval_partition.txt", "000003.jpg", "000002.jpg", "every image once"),
    ],
)
def test_damaged_lists(root: Path, name: str, old: str, new: str, expected: str) -> None:
    change(root / "celeba" / name, old, new)
    message = complaint(root)
    assert message.startswith(str(root / "celeba" / name))
    assert expected in message


@pytest.mark.parametrize("name", ["list_attr_celeba.txt", "list_eval_partition.txt"])
@pytest.mark.parametrize("content", [b"", b"6\nA B\n", b"\xff\xfe\x00 1\n" * 3])
def test_files_that_are_no_lists(root: Path, name: str, content: bytes) -> None:
    (root / "celeba" / name).write_bytes(content)
    assert complaint(root).startswith(f"{root / 'celeba' / name}: can't be used")


def test_no_training_faces(root: Path) -> None:
    path = root / "celeba" / "list_eval_partition.txt"
    path.write_text(path.read_text().replace(" 0\n", " 2\n"))
    assert "has no training image" in complaint(root)
