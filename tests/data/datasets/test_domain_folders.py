"""Images in folders by domain and class: small files in the real forms of published data sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from jlrun.config import checked
from jlrun.config.schema import Settings
from jlrun.data.dataset import Dataset
from jlrun.data.datasets.domain_benchmarks import (
    VISDA_CLASSES,
    load_domainnet,
    load_office31,
    load_office_home,
    load_pacs,
    load_visda,
)
from jlrun.data.datasets.domain_folders import load_domains, read_image_list
from jlrun.data.rows import Rows
from jlrun.data.specs import ImageSpec
from jlrun.data.splits import Subset, make_splits
from jlrun.errors import UserError

CONF = Path(__file__).parents[3] / "conf" / "dataset"


def save(path: Path, red: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 9), (red, 0, 0)).save(path)


def make(root: Path, domains: dict[str, dict[str, int]], ending: str = "png") -> None:
    """Write ``root/<domain>/<class>/{0,1,…}.png``; red tells the image's number."""
    for domain, counts in domains.items():
        for name, count in counts.items():
            for i in range(count):
                save(root / domain / name / f"{i}.{ending}", red=10 * i)


def labels(rows: Rows | None) -> list[int]:
    assert rows is not None
    return rows.targets["label"].tolist()


def numbers(rows: Rows | None) -> list[int]:
    """Return which image of its class each row is, by its colour."""
    assert rows is not None
    images = rows.fetch(torch.arange(len(rows))).inputs["image"]
    return (images[:, 0, 4, 4].double() / 10).round().int().tolist()


def test_classes_are_those_of_all_domains(tmp_path: Path) -> None:
    make(tmp_path, {"day": {"b": 2, "c": 1}, "night": {"a": 1, "c": 3}, "fog": {"d": 1}})
    day, night = (load_domains(str(tmp_path), d, size=8) for d in ("day", "night"))
    assert day.classes == night.classes == {"label": ("a", "b", "c", "d")}
    assert labels(day.train) == [1, 1, 2]
    assert labels(night.train) == [0, 2, 2, 2]
    assert day.val is day.test is None
    assert day.train.fetch(torch.tensor([0])).inputs["image"].shape == (1, 3, 8, 8)


def test_what_is_no_class_is_passed_over(tmp_path: Path) -> None:
    make(tmp_path, {"day": {"a": 1, "b": 1}, "night": {"a": 1}, "__MACOSX": {"x": 1}})
    save(tmp_path / "day" / "b" / "deeper" / "1.JPG", red=10)
    save(tmp_path / "day" / ".hidden" / "1.png")
    save(tmp_path / "day" / "b" / "._0.png")
    (tmp_path / "day" / "b" / "notes.txt").write_text("no image")
    (tmp_path / "day" / "empty").mkdir()
    (tmp_path / "day" / "list.txt").write_text("day/a/0.png 0")
    dataset = load_domains(str(tmp_path), "day", size=8)
    assert dataset.classes == {"label": ("a", "b")}
    assert (labels(dataset.train), numbers(dataset.train)) == ([0, 1, 1], [0, 0, 1])


def test_statistics_are_measured_or_given(tmp_path: Path) -> None:
    make(tmp_path, {"day": {"a": 1, "b": 1}})
    spec = load_domains(str(tmp_path), "day").modalities["image"]
    assert spec == ImageSpec(3, 64, 64, (), ())
    mean, std = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]
    given = load_domains(str(tmp_path), "day", mean=mean, std=std).modalities["image"]
    assert given == ImageSpec(3, 64, 64, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    with pytest.raises(UserError, match="mean: 1 value; give one for each of 3 channels"):
        load_domains(str(tmp_path), "day", mean=[0.5])
    with pytest.raises(UserError, match=r"std: .* must be positive"):
        load_domains(str(tmp_path), "day", std=[0.5, 0.0, 0.5])


def test_an_unknown_domain_is_answered_with_those_there_are(tmp_path: Path) -> None:
    make(tmp_path, {"day": {"a": 1}, "night": {"a": 1}})
    with pytest.raises(UserError, match=r"domain=null: expected the name of .* day, night"):
        load_domains(str(tmp_path))
    with pytest.raises(UserError, match=r"domain=nihgt: .* Did you mean 'night'"):
        load_domains(str(tmp_path), "nihgt")
    with pytest.raises(UserError, match=r"missing: can't be listed: No such file"):
        load_domains(str(tmp_path / "missing"), "day")
    (tmp_path / "dusk" / "a").mkdir(parents=True)
    with pytest.raises(UserError, match=r"dusk: no class folders with images; images end in .bmp"):
        load_domains(str(tmp_path), "dusk")


def test_bad_files_of_a_domain_are_skipped(tmp_path: Path) -> None:
    make(tmp_path, {"photo": {"cat": 2, "dog": 2}, "sketch": {"cat": 1, "dog": 1}})
    bad = sorted((tmp_path / "photo" / "dog").iterdir())[0]
    bad.write_bytes(b"broken")
    found = load_domains(str(tmp_path), "photo", size=8, on_error="skip", resize="pad")
    assert labels(found.train) == [0, 0, 1]
    assert found.report is not None
    assert str(bad) in found.report.lines("dataset")[0]
    assert found.modalities["image"].resize == "pad"  # pyright: ignore


def test_office_classes_are_those_of_all_domains(tmp_path: Path) -> None:
    make(tmp_path / "31", {"amazon": {"bike": 2, "mug": 1}, "dslr/images": {"bike": 1, "desk": 1}})
    amazon, dslr = (load_office31(str(tmp_path / "31"), d, size=8) for d in ("amazon", "dslr"))
    assert amazon.classes == dslr.classes == {"label": ("bike", "desk", "mug")}
    assert labels(amazon.train) == [0, 0, 2]
    make(tmp_path / "home", {"Art": {"Bed": 1, "Fan": 1}, "Real World": {"Bed": 1, "Eraser": 1}})
    real = load_office_home(str(tmp_path / "home"), "Real_World", size=8)
    assert real.classes == {"label": ("Bed", "Eraser", "Fan")}


PACS = {"photo": {"dog": 3, "guitar": 2}, "sketch": {"dog": 2, "horse": 2}}


@pytest.mark.parametrize("place", ["PACS/kfold", "PACS", "kfold", "pacs/images", "."])
def test_pacs_in_its_folders(tmp_path: Path, place: str) -> None:
    make(tmp_path / place, PACS)
    dataset = load_pacs(str(tmp_path), "sketch", size=8)
    assert dataset.classes == {"label": ("dog", "guitar", "horse")}
    assert labels(dataset.train) == [0, 0, 2, 2]
    assert dataset.val is dataset.test is None


def write_pacs_lists(folder: Path) -> None:
    """As published: numbers begin with 1, and the list for tests names all images."""
    lines = [f"photo/dog/{i}.png 1" for i in range(3)] + ["photo/guitar/0.png 4"]
    held_out = ["photo/guitar/1.png 4", "sketch/dog/n02103406_4068-1.png 1"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "photo_train_kfold.txt").write_text("\n".join(lines) + "\n")
    (folder / "photo_crossval_kfold.txt").write_text("\n".join(held_out) + "\n\n")
    (folder / "photo_test_kfold.txt").write_text("\n".join(lines + held_out))


@pytest.mark.parametrize("place", ["PACS/pacs_label", "PACS/kfold", "PACS", "PACS/splits"])
def test_pacs_lists_divide_the_images(tmp_path: Path, place: str) -> None:
    make(tmp_path / "PACS" / "kfold", PACS)
    write_pacs_lists(tmp_path / place)
    dataset = load_pacs(str(tmp_path), "photo", size=8)
    assert (labels(dataset.train), numbers(dataset.train)) == ([0, 0, 0, 1], [0, 1, 2, 0])
    assert (labels(dataset.val), numbers(dataset.val)) == ([1], [1])
    assert dataset.test is None
    splits = make_splits(dataset, Subset(test_fraction=0.25), seed=0)
    assert [len(x) for x in (splits.train, splits.val, splits.test)] == [3, 1, 1]


def test_pacs_with_one_of_two_lists(tmp_path: Path) -> None:
    make(tmp_path / "PACS", PACS)
    write_pacs_lists(tmp_path / "PACS" / "pacs_label")
    (tmp_path / "PACS" / "pacs_label" / "photo_train_kfold.txt").unlink()
    with pytest.raises(
        UserError, match=r"photo_train_kfold.txt: is missing next to photo_crossval"
    ):
        load_pacs(str(tmp_path), "photo")


@pytest.mark.parametrize("place", ["visda", "visda-2017", "."])
def test_visda_domains(tmp_path: Path, place: str) -> None:
    make(tmp_path / place, {"train": {"train": 2, "bus": 1}, "validation": {"truck": 1, "car": 2}})
    train, validation = (load_visda(str(tmp_path), d, size=8) for d in ("train", "validation"))
    assert train.classes == validation.classes == {"label": VISDA_CLASSES}
    assert len(VISDA_CLASSES) == 12
    assert list(VISDA_CLASSES) == sorted(VISDA_CLASSES)
    assert labels(train.train) == [2, 10, 10]
    assert labels(validation.train) == [3, 3, 11]


@pytest.mark.parametrize("place", ["test", "."])
def test_visda_test_images_are_labelled_by_a_list(tmp_path: Path, place: str) -> None:
    root = tmp_path / "visda"
    for i in range(3):
        save(root / "test" / f"trunk0{i}" / f"{i}a.jpg", red=10 * i)
    (root / place / "image_list.txt").write_text("trunk02/2a.jpg 11\ntrunk00/0a.jpg 0\n")
    dataset = load_visda(str(tmp_path), "test", size=8)
    assert labels(dataset.train) == [11, 0]
    assert numbers(dataset.train) == [2, 0]


def test_visda_test_images_may_be_sorted_by_class(tmp_path: Path) -> None:
    make(tmp_path / "visda", {"test": {"bus": 1, "car": 1}})
    assert labels(load_visda(str(tmp_path), "test", size=8).train) == [2, 3]


def test_what_is_wrong_with_the_list_of_visda_is_told(tmp_path: Path) -> None:
    save(tmp_path / "visda" / "test" / "trunk01" / "a.jpg")
    with pytest.raises(UserError, match=r"image_list.txt: is missing: .* classification/data"):
        load_visda(str(tmp_path), "test")
    path = tmp_path / "visda" / "test" / "image_list.txt"
    path.write_text("trunk01/a.jpg 12\n")
    with pytest.raises(UserError, match="has the label 12; expected 0 to 11"):
        load_visda(str(tmp_path), "test")
    path.write_text("trunk02/b.jpg 1\n")
    with pytest.raises(UserError, match=r"names 'trunk02/b.jpg', but there is no .*test/trunk02"):
        load_visda(str(tmp_path), "test")


DOMAINNET = {"clipart": {"ant": 3, "zigzag": 2}, "painting": {"ant": 1, "t-shirt": 1, "zebra": 2}}


def write_domainnet_lists(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "clipart_train.txt").write_text("clipart/zigzag/1.jpg 344\nclipart/ant/0.jpg 6\n")
    (folder / "clipart_test.txt").write_text("clipart/ant/2.jpg 6\nclipart/ant/1.jpg 6\n")
    # As in the published list, a class that has images is in no line.
    (folder / "painting_train.txt").write_text("painting/zebra/0.jpg 343\n")
    (folder / "painting_test.txt").write_text("painting/zebra/1.jpg 343\npainting/ant/0.jpg 6\n")


@pytest.mark.parametrize("lists", [".", "splits"])
@pytest.mark.parametrize("place", ["domainnet", "."])
def test_domainnet_lists_are_the_official_split(tmp_path: Path, place: str, lists: str) -> None:
    make(tmp_path / place, DOMAINNET, "jpg")
    write_domainnet_lists(tmp_path / place / lists)
    clipart, painting = (load_domainnet(str(tmp_path), d, size=8) for d in ("clipart", "painting"))
    assert clipart.classes == painting.classes == {"label": ("ant", "t-shirt", "zebra", "zigzag")}
    assert (labels(clipart.train), labels(clipart.test)) == ([3, 0], [0, 0])
    assert (numbers(clipart.train), numbers(clipart.test)) == ([1, 0], [2, 1])
    assert (labels(painting.train), labels(painting.test)) == ([2], [2, 0])
    assert clipart.val is None


def test_domainnet_without_lists(tmp_path: Path) -> None:
    make(tmp_path / "domain_net", DOMAINNET, "jpg")
    dataset = load_domainnet(str(tmp_path), "clipart", size=8)
    assert labels(dataset.train) == [0, 0, 0, 3, 3]
    assert dataset.test is None


def test_what_is_wrong_with_the_lists_of_domainnet_is_told(tmp_path: Path) -> None:
    make(tmp_path, DOMAINNET, "jpg")
    write_domainnet_lists(tmp_path)
    train = tmp_path / "clipart_train.txt"
    train.write_text("clipart/zigzga/1.jpg 344\n")
    with pytest.raises(UserError, match=r"has no folder. Did you mean 'zigzag'"):
        load_domainnet(str(tmp_path), "clipart")
    train.write_text("clipart/ant/9.jpg 6\n")
    with pytest.raises(UserError, match=r"names 'clipart/ant/9.jpg', but there is no .*/9.jpg"):
        load_domainnet(str(tmp_path), "clipart")
    train.unlink()
    with pytest.raises(UserError, match=r"clipart_train.txt: is missing next to clipart_test.txt"):
        load_domainnet(str(tmp_path), "clipart")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a/1.png 0\na/2.png\n", r"line 2: 'a/2.png'; expected a path and a number"),
        ("a/1.png one\n", "line 1: 'a/1.png one'"),
        ("a/1.png -1\n", "line 1: 'a/1.png -1'"),
        ("\n \n", "names no images; get the list anew"),
    ],
)
def test_what_is_no_list_of_images(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_image_list(path)


def test_a_name_in_a_list_may_have_spaces_and_lines_may_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"Real World/a b/1.png 3\r\n\r\nx.png\t12\r\n")
    listed = read_image_list(path)
    assert listed.names == ("Real World/a b/1.png", "x.png")
    assert listed.numbers == (3, 12)


@pytest.mark.parametrize(
    ("load", "name", "domain", "message"),
    [
        (load_pacs, "pacs", "photo", r"no folder 'photo' .*PACS/kfold.* PACS is at https"),
        (load_visda, "visda", "train", r"no folder 'train' of VisDA-2017; it is at https"),
        (load_domainnet, "domainnet", "real", r"no folder 'real' .* DomainNet is at https"),
    ],
)
def test_the_default_domain_of_a_yaml_and_where_to_get_it(
    tmp_path: Path, load: Callable[..., Dataset], name: str, domain: str, message: str
) -> None:
    config = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    assert config["domain"] == domain
    assert list(config["tasks"]) == ["label"]
    with pytest.raises(UserError, match=message):
        load(str(tmp_path), config["domain"])


def test_the_classes_of_few_shot_cifar_are_divided() -> None:
    settings = Settings.parse(checked(["experiment=fewshot_cifar"]).config)
    source, target = settings.source, settings.target
    assert source is not None
    assert target is not None
    assert sorted(source["classes"] + target["classes"]) == [
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ]
    assert source["name"] == target["name"] == "CIFAR10"
    assert (source["shots"], target["shots"], target["val_shots"]) == (None, 5, 5)
