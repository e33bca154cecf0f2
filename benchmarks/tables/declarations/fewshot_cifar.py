"""What a source, a way of fine-tuning and unlabelled images are worth with few labels."""

from __future__ import annotations

from benchmarks.tables.declared import QUIET, Cell, Job, Result, Table, of_model, only

COMMON = (
    "data_root={data}/cifar10_sample",
    "backbone.image.channels=[16,32,64]",
    "backbone.image.hidden=128",
    "backbone.image.batch_norm=true",
    *QUIET,
)
EPOCHS = {5: 40, 20: 40, 100: 20}  # images per class -> passes over them
BATCH = {5: 16, 20: 32, 100: 64}
METHODS = {
    "full": ("finetune.wise_ft=true",),
    "head": ("finetune=head",),
    "lp_ft": ("finetune=lp_ft",),
    "lora": ("finetune=lora",),
    "l2_sp": ("terms=[l2_sp]",),
    "bss": ("terms=[bss]",),
    "WiSE-FT": ("finetune.wise_ft=true",),  # another score of the same run as full
}
FROM_UNLABELLED = ("full", "head", "lp_ft", "l2_sp", "WiSE-FT")
SOURCE_STEPS = 12 * 63  # passes over 4,000 images in batches of 64
STEPS = {5: 40 * 2, 20: 40 * 4, 100: 20 * 8}  # on the target
IMAGES = ("size=24", "augment.crop=3", "augment.flip=0.5")


def one_data_set(classes: str, *more: str) -> Job:
    """Return a run on some classes alone."""
    return Job(
        (
            "mode=multitask",
            "dataset=imagefolder",
            *COMMON,
            f"dataset.classes=[{classes}]",
            *(f"dataset.{setting}" for setting in IMAGES),
            "baselines=false",
            *more,
        )
    )


SOURCE = one_data_set("airplane,automobile,deer,dog,ship", "epochs=12", "batch_size=64")
UNLABELLED = one_data_set(
    "bird,cat,frog,horse,truck",
    "batch_size=128",
    "terms=[simclr]",
    "pretraining.epochs=15",
    "pretraining.only=true",
)


def scratch(shots: int, epochs: int) -> Job:
    """Return the run without a source."""
    return one_data_set(
        "bird,cat,frog,horse,truck",
        f"dataset.shots={shots}",
        f"batch_size={BATCH[shots]}",
        f"epochs={epochs}",
    )


def long_enough(shots: int) -> int:
    """Return the passes over the target that take as many steps as all of a row with a source."""
    return (SOURCE_STEPS + STEPS[shots]) * EPOCHS[shots] // STEPS[shots]


def tuned(start: Job, shots: int, method: tuple[str, ...], epochs: int | None = None) -> Job:
    """Return the run that fine-tunes from another."""
    return Job(
        (
            "experiment=cifar_halves",
            *COMMON,
            "source.run={start}",
            f"target.shots={shots}",
            f"batch_size={BATCH[shots]}",
            f"epochs={epochs or EPOCHS[shots]}",
            *(f"target.{setting}" for setting in IMAGES),
            "baselines=false",
            *method,
        ),
        {"start": start},
    )


def selected_between(result: Result) -> float:
    """Return the test score of the share of fine-tuning that validation selected."""
    (chosen,) = (point for point in result["wise_ft"] if point["selected"])
    return chosen["test"]["label"]["accuracy"]


def cells() -> list[Cell]:
    found = []
    for shots in EPOCHS:
        column = f"{shots} per class"
        lengths = {"from scratch": long_enough(shots), "from scratch, shorter": EPOCHS[shots]}
        for row, epochs in lengths.items():
            found.append(Cell(row, column, only(scratch(shots, epochs)), of_model("label")))
        for name, start in {"source": SOURCE, "SimCLR": UNLABELLED}.items():
            methods = METHODS if name == "source" else FROM_UNLABELLED
            for method in methods:
                score = selected_between if method == "WiSE-FT" else of_model("label")
                job = only(tuned(start, shots, METHODS[method]))
                found.append(Cell(f"{name}, {method}", column, job, score))
    longer = only(tuned(SOURCE, 100, METHODS["full"], long_enough(100)))
    found.append(Cell("source, full, longer", "100 per class", longer, of_model("label")))
    return found


TABLES = (
    Table(
        "fewshot_cifar",
        "Five classes of CIFAR-10 help five others",
        """Target: bird, cat, frog, horse, truck with 5, 20 or 100 training images of each, and as
many for validation; 1,000 test images. Sources: *source*, 5,000 labelled images of airplane,
automobile, deer, dog and ship, of which a fifth is validation (12 epochs, batches of 64);
*SimCLR*, the 4,000 training images of the target's classes without labels (15 epochs, batches of
128; the labelled ones are among them). Then 80 to 160 steps on the target. *from scratch* takes
as many steps as pretraining on the source and fine-tuning together, *shorter* as many as fine-
tuning; *full, longer* takes as many on the target as *from scratch*. All have 24 × 24 pixels,
random crops and flips, the same encoder (three convolutions of 16, 32 and 64 channels with
BatchNorm), AdamW at 1e-3: small, to keep the table cheap, and far from published accuracies.
Nothing was tuned; weights are selected on validation rows.""",
        tuple(cells()),
        """With as many steps on the target (*from scratch, shorter*), fine-tuning of all weights
is ahead at each size, by 0.5 to 1.9 points from the labelled source and by 0.9 to 2.7 from
SimCLR; three seeds prove none of it. It is not ahead of training from scratch for as long as
pretraining and fine-tuning together: level at 5 and 20 images, 3 points behind at 100, where as
many steps on the target bring it to the front again (*longer*, +1.8). So what a source of five
other classes carries over to three small convolutions is worth about as much as the steps that it
cost. A linear probe is far behind at every size, LoRA by 4 points at 100; L2-SP, BSS, LP-FT and
WiSE-FT are within two points of plain fine-tuning from the labelled source.""",
        reference="from scratch",
        data=("cifar10_sample",),
    ),
)
