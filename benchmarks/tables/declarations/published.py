"""Presets of published settings: digits over colour backgrounds, and CDAN by rows of the source."""

from __future__ import annotations

from benchmarks.tables.declarations.adaptation import COLUMNS, scored
from benchmarks.tables.declared import QUIET, Cell, Job, Table, baseline, only

COLOURS = (
    "experiment=mnist_mnist_m",
    "source.root={data}",
    "target.root={data}",
    "target.photos={data}/photos",
    *QUIET,
)
METHODS = {
    "dann": ("terms=[dann]",),
    "cdan": ("terms=[cdan]", "baselines=false"),
    "mcc": ("terms=[mcc]", "baselines=false"),
}
# The digits of scikit-learn stand in for USPS, which is not at hand.
ROWS = (
    "experiment=mnist_usps",
    "dataset@target=digits",
    "~target.size",
    "source.root={data}",
    *QUIET,
)


def adapted(jobs: dict[str, Job], supervised: str) -> list[Cell]:
    """Return the cells of methods, and of the baselines of the row named ``supervised``."""
    found = [
        Cell("source only", "selected", only(jobs[supervised]), baseline("source_only", "digit"))
    ]
    for name, job in jobs.items():
        found += [Cell(name, column, only(job), scored(key)) for column, key in COLUMNS.items()]
    above = baseline("target_supervised", "digit")
    return [*found, Cell("target supervised", "selected", only(jobs[supervised]), above)]


def by_rows() -> list[Cell]:
    """Return the cells of CDAN and of the source alone by rows of the source."""
    found: list[Cell] = []
    for rows, times in ((1000, 16), (4000, 4), (16_000, 1)):
        # As many steps as nine epochs of all rows, the term from one ninth of them on.
        job = Job(
            (
                *ROWS,
                f"source.limit={rows}",
                f"epochs={9 * times}",
                f"pretrain_epochs={times}",
            )
        )
        row = f"{rows:,} rows"
        found.append(Cell(row, "source only", only(job), baseline("source_only", "digit")))
        found += [
            Cell(row, f"cdan, {column}", only(job), scored(key)) for column, key in COLUMNS.items()
        ]
        found.append(Cell(row, "supervised", only(job), baseline("target_supervised", "digit")))
    return found


TABLES = (
    Table(
        "adaptation_mnist_m",
        "MNIST → MNIST over photographs: presets of published settings",
        """16,000 labelled images of MNIST → the same digits blended with patches of photographs,
without labels: the recipe of MNIST-M on seven photographs (`python -m benchmarks.photos`), of which
two are in test rows alone, where the published set has patches of 200 photographs of BSDS500.
`experiment=mnist_mnist_m`, which has the settings published for DANN, and the same with other
terms at their defaults; nothing was tuned. *selected* is the epoch that information maximisation on
unlabelled rows of the target chose, *last* needs no selection, *oracle* is the best epoch on the
test split itself, which nobody has in practice.""",
        tuple(adapted({name: Job((*COLOURS, *own)) for name, own in METHODS.items()}, "dann")),
        seeds=(0, 1, 2),
        reference="source only",
        data=("MNIST/raw", "photos"),
    ),
    Table(
        "adaptation_rows",
        "MNIST → digits with the preset of CDAN, by rows of the source",
        """`experiment=mnist_usps`, which has the settings published for CDAN from MNIST to USPS,
with scikit-learn's digits, 8 × 8 pixels, as the target without labels, and with 1,000, 4,000 and
16,000 labelled images of MNIST. Each takes as many steps as nine epochs of 16,000 rows. Nothing was
tuned. Columns as in [MNIST → digits](adaptation_mnist.md); *supervised* has all labels of the
target.""",
        tuple(by_rows()),
        seeds=(0, 1, 2, 3, 4),
        reference="16,000 rows",
        data=("MNIST/raw",),
    ),
)
