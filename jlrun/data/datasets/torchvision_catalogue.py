"""Catalogue of torchvision's classification sets: their files, splits, tasks and variants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

DIGITS = tuple("0123456789")
_TRAIN_FLAG = {"train": {"train": True}, "test": {"train": False}}
_TRAIN_TEST = {"train": {"split": "train"}, "test": {"split": "test"}}
_TRAIN_VAL_TEST = {"train": {"split": "train"}, "val": {"split": "val"}, "test": {"split": "test"}}
_UNDIVIDED = {"train": {}}


@dataclass(frozen=True)
class Derived:
    """A task whose classes are groups of the main task's classes.

    Attributes:
        name: of the task.
        members: class -> the main task's classes in it.
    """

    name: str
    members: Mapping[str, tuple[str, ...]]

    def table(self, classes: tuple[str, ...]) -> list[int]:
        """Return the derived label of each main class, in their order."""
        of = {member: i for i, group in enumerate(self.members.values()) for member in group}
        return [of[name] for name in classes]


@dataclass(frozen=True)
class Entry:
    """A data set.

    Attributes:
        splits: split -> keyword arguments of the torchvision class.
        folder: folder of the files, relative to the root; ``{}`` stands for the variant.
        files: required files or folders in it.
        task: name of the main task.
        classes: names of its classes, where torchvision has none or others.
        derived: more tasks.
        variants: name -> value of ``{}`` in ``folder`` and ``files``; empty: only one.
        variant_key: keyword argument of the torchvision class that takes the name.
        downloadable: whether torchvision knows where the files are.
    """

    splits: Mapping[str, Mapping[str, object]]
    folder: str
    files: tuple[str, ...]
    task: str = "label"
    classes: tuple[str, ...] = ()
    derived: tuple[Derived, ...] = ()
    variants: Mapping[str, str] = field(default_factory=dict)
    variant_key: str = ""
    downloadable: bool = True

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of all tasks, the main one first."""
        return (self.task, *(derived.name for derived in self.derived))

    def of_variant(self, variant: str | None) -> Entry:
        """Return the entry of a known variant; None where there is only one."""
        if variant is None:
            return self
        part = self.variants[variant]
        value = int(variant) if variant.isdigit() else variant
        return replace(
            self,
            folder=self.folder.replace("{}", part),
            files=tuple(name.replace("{}", part) for name in self.files),
            splits={s: {**keys, self.variant_key: value} for s, keys in self.splits.items()},
            variants={},
        )

    def missing(self, root: Path) -> list[str]:
        """Return the ``files`` that are not below ``root``."""
        return [name for name in self.files if not (root / self.folder / name).exists()]


_PARITY = Derived("parity", {"even": DIGITS[::2], "odd": DIGITS[1::2]})
_IDX = ("images-idx3-ubyte", "labels-idx1-ubyte")


def _idx(folder: str, train: str, test: str, **more: object) -> Entry:
    files = tuple(f"{split}-{kind}" for split in (train, test) for kind in _IDX)
    return Entry(_TRAIN_FLAG, f"{folder}/raw", files, **more)  # pyright: ignore[reportArgumentType]


# Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html
_CIFAR100_SUPERCLASSES = {
    "aquatic_mammals": "beaver dolphin otter seal whale",
    "fish": "aquarium_fish flatfish ray shark trout",
    "flowers": "orchid poppy rose sunflower tulip",
    "food_containers": "bottle bowl can cup plate",
    "fruit_and_vegetables": "apple mushroom orange pear sweet_pepper",
    "household_electrical_devices": "clock keyboard lamp telephone television",
    "household_furniture": "bed chair couch table wardrobe",
    "insects": "bee beetle butterfly caterpillar cockroach",
    "large_carnivores": "bear leopard lion tiger wolf",
    "large_man-made_outdoor_things": "bridge castle house road skyscraper",
    "large_natural_outdoor_scenes": "cloud forest mountain plain sea",
    "large_omnivores_and_herbivores": "camel cattle chimpanzee elephant kangaroo",
    "medium_mammals": "fox porcupine possum raccoon skunk",
    "non-insect_invertebrates": "crab lobster snail spider worm",
    "people": "baby boy girl man woman",
    "reptiles": "crocodile dinosaur lizard snake turtle",
    "small_mammals": "hamster mouse rabbit shrew squirrel",
    "trees": "maple_tree oak_tree palm_tree pine_tree willow_tree",
    "vehicles_1": "bicycle bus motorcycle pickup_truck train",
    "vehicles_2": "lawn_mower rocket streetcar tank tractor",
}

_CATS = (
    *("Abyssinian", "Bengal", "Birman", "Bombay", "British Shorthair", "Egyptian Mau"),
    *("Maine Coon", "Persian", "Ragdoll", "Russian Blue", "Siamese", "Sphynx"),
)
_DOGS = (
    *("American Bulldog", "American Pit Bull Terrier", "Basset Hound", "Beagle", "Boxer"),
    *("Chihuahua", "English Cocker Spaniel", "English Setter", "German Shorthaired"),
    *("Great Pyrenees", "Havanese", "Japanese Chin", "Keeshond", "Leonberger"),
    *("Miniature Pinscher", "Newfoundland", "Pomeranian", "Pug", "Saint Bernard", "Samoyed"),
    *("Scottish Terrier", "Shiba Inu", "Staffordshire Bull Terrier", "Wheaten Terrier"),
    "Yorkshire Terrier",
)

CATALOGUE: Mapping[str, Entry] = {
    "MNIST": _idx("MNIST", "train", "t10k", task="digit", classes=DIGITS, derived=(_PARITY,)),
    "FashionMNIST": _idx("FashionMNIST", "train", "t10k"),
    "KMNIST": _idx("KMNIST", "train", "t10k"),
    "EMNIST": _idx(
        "EMNIST",
        "emnist-{}-train",
        "emnist-{}-test",
        variants={
            name: name for name in ("balanced", "letters", "digits", "byclass", "bymerge", "mnist")
        },
        variant_key="split",
    ),
    "QMNIST": Entry(
        {"train": {"what": "train"}, "test": {"what": "test"}},
        "QMNIST/raw",
        tuple(f"qmnist-{s}-{k}" for s in ("train", "test") for k in (_IDX[0], "labels-idx2-int")),
        task="digit",
        classes=DIGITS,
        derived=(_PARITY,),
    ),
    "USPS": Entry(
        _TRAIN_FLAG,
        "",
        ("usps.bz2", "usps.t.bz2"),
        task="digit",
        classes=DIGITS,
        derived=(_PARITY,),
    ),
    "SEMEION": Entry(
        _UNDIVIDED, "", ("semeion.data",), task="digit", classes=DIGITS, derived=(_PARITY,)
    ),
    "SVHN": Entry(
        _TRAIN_TEST,
        "",
        ("train_32x32.mat", "test_32x32.mat"),
        task="digit",
        classes=DIGITS,
        derived=(_PARITY,),
    ),
    "CIFAR10": Entry(
        _TRAIN_FLAG,
        "cifar-10-batches-py",
        (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"),
    ),
    "CIFAR100": Entry(
        _TRAIN_FLAG,
        "cifar-100-python",
        ("train", "test", "meta"),
        derived=(
            Derived(
                "superclass",
                {name: tuple(fine.split()) for name, fine in _CIFAR100_SUPERCLASSES.items()},
            ),
        ),
    ),
    "STL10": Entry(
        _TRAIN_TEST,
        "stl10_binary",
        # torchvision checks the unlabelled part too, even if it is not used.
        ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin", "unlabeled_X.bin"),
        classes=(
            *("airplane", "bird", "car", "cat", "deer"),
            *("dog", "horse", "monkey", "ship", "truck"),
        ),
    ),
    "OxfordIIITPet": Entry(
        {"train": {"split": "trainval"}, "test": {"split": "test"}},
        "oxford-iiit-pet",
        ("images", "annotations"),
        derived=(Derived("species", {"cat": _CATS, "dog": _DOGS}),),
    ),
    "Flowers102": Entry(_TRAIN_VAL_TEST, "flowers-102", ("jpg", "imagelabels.mat", "setid.mat")),
    "GTSRB": Entry(
        _TRAIN_TEST,
        "gtsrb",
        ("GTSRB/Training", "GTSRB/Final_Test/Images", "GT-final_test.csv"),
        classes=tuple(str(i) for i in range(43)),
    ),
    "Food101": Entry(_TRAIN_TEST, "food-101", ("images", "meta")),
    "DTD": Entry(
        _TRAIN_VAL_TEST,
        "dtd/dtd",
        ("images", "labels/train{}.txt", "labels/val{}.txt", "labels/test{}.txt"),
        variants={str(i): str(i) for i in range(1, 11)},
        variant_key="partition",
    ),
    "EuroSAT": Entry(_UNDIVIDED, "eurosat", ("2750",)),
    "FGVCAircraft": Entry(
        _TRAIN_VAL_TEST,
        "fgvc-aircraft-2013b/data",
        ("images", "images_{}_train.txt", "images_{}_val.txt", "images_{}_test.txt"),
        variants={name: name for name in ("variant", "family", "manufacturer")},
        variant_key="annotation_level",
    ),
    "Caltech101": Entry(_UNDIVIDED, "caltech101", ("101_ObjectCategories",)),
    "Caltech256": Entry(_UNDIVIDED, "caltech256", ("256_ObjectCategories",)),
    "Country211": Entry(
        {"train": {"split": "train"}, "val": {"split": "valid"}, "test": {"split": "test"}},
        "country211",
        ("train", "valid", "test"),
    ),
    # Its authors' val split is the only one to test on: validation rows come from train.
    "Imagenette": Entry(
        {"train": {"split": "train"}, "test": {"split": "val"}},
        "imagenette2{}",
        ("train", "val"),
        variants={"full": "", "320px": "-320", "160px": "-160"},
        variant_key="size",
    ),
    "RenderedSST2": Entry(_TRAIN_VAL_TEST, "rendered-sst2", ("train", "valid", "test")),
    "SUN397": Entry(_UNDIVIDED, "SUN397", ("ClassName.txt",)),
    "StanfordCars": Entry(
        _TRAIN_TEST,
        "stanford_cars",
        ("devkit", "cars_train", "cars_test", "cars_test_annos_withlabels.mat"),
        downloadable=False,
    ),
}
