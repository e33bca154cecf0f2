"""Whether settings of adaptation hold on pairs of domains that they were not chosen on."""

from __future__ import annotations

from itertools import product

from benchmarks.tables.declarations.adaptation import COMMON, scored
from benchmarks.tables.declared import Cell, Job, Table, baseline, only

RATES, WEIGHTS = ("1e-3", "3e-3"), ("0.3", "1")
METHODS = {
    "dann": ("terms=[dann]", "terms.dann.hidden=256"),
    "cdan": ("terms=[cdan]", "terms.cdan.hidden=256"),
    "mdd": ("terms=[mdd]",),
    "mcc": ("terms=[mcc]",),
}
SIZED = ("batch_size=64", "backbone.image.hidden=128", "adapt.oracle=false")
# Pairs on which settings are chosen, by labels of the target, and those that are reported.
DEVELOPMENT = (
    ("dataset@target=digits", "epochs=20"),
    ("dataset@source=digits", "dataset@target=printed_digits", "epochs=20"),
)
REPORTED = {
    "MNIST → digits": (
        "dataset@source=mnist",
        "source.root={data}",
        "source.limit=1200",
        "dataset@target=digits",
        "epochs=20",
    ),
    # all images of MNIST without labels, so that two epochs are some 500 steps
    "printed digits → MNIST": (
        "dataset@target=mnist",
        "target.root={data}",
        "target.size=8",
        "epochs=2",
    ),
}


def job(method: str, pair: tuple[str, ...], rate: str, weight: str, baselines: bool) -> Job:
    """Return a run of a method on a pair."""
    common = [text for text in COMMON if not text.startswith("optimizer.lr")]
    own = (f"optimizer.lr={rate}", *METHODS[method], f"terms.{method}.weight={weight}")
    off = () if baselines else ("baselines=false",)
    return Job((*common, *SIZED, *pair, *own, *off))


def by_setting(method: str, pair: tuple[str, ...]) -> dict[str, Job]:
    """Return setting -> run."""
    return {
        f"lr {rate}, weight {weight}": job(method, pair, rate, weight, baselines=False)
        for rate, weight in product(RATES, WEIGHTS)
    }


def cells() -> list[Cell]:
    found = []
    digit = scored("test")
    for name, pair in REPORTED.items():
        alone = only(job("mcc", pair, "3e-3", "1", baselines=True))
        found.append(Cell("source only", name, alone, baseline("source_only", "digit")))
        for method in METHODS:
            settings = by_setting(method, pair)
            others = [by_setting(method, each) for each in DEVELOPMENT]
            elsewhere = {setting: tuple(other[setting] for other in others) for setting in settings}
            found += [
                Cell(f"{method}, chosen on other pairs", name, settings, digit, elsewhere, digit),
                Cell(f"{method}, chosen on this target", name, settings, digit, judged=digit),
                Cell(f"{method}, chosen without labels", name, settings, digit),
            ]
        supervised = baseline("target_supervised", "digit")
        found.append(Cell("target supervised", name, alone, supervised))
    return found


TABLES = (
    Table(
        "adaptation_settings",
        "Adaptation: do settings hold on other pairs?",
        """Each method had the learning rates 1e-3 and 3e-3 and the weights 0.3 and 1 of its term,
four settings. *chosen on other pairs* is one setting for all targets: the best mean accuracy on the
labelled targets of printed digits → digits and of digits → printed digits, two pairs that are not
reported. *chosen without labels* is the setting with the best information maximisation on
unlabelled rows of the target itself. *chosen on this target* is the best one by labels of the
target's test rows, which nobody has in practice: a bound. A choice is made with one other seed. All
images are 8 × 8 pixels; MNIST as a source has 1,200 labelled images, as a target 16,000 without
labels; 380 to 600 steps in batches of 64, BatchNorm of each domain by itself, mild shifts and turns
of both; the epoch is chosen by information maximisation.""",
        tuple(cells()),
        conclusion="""In six of eight cases the setting chosen on two other pairs is the one
that labels of the target would have chosen, and in a seventh as good; for mcc on MNIST → digits
it costs 6.7 points. All choose the larger rate, the edge of what was tried. Choosing without
labels, on the target itself, did as well as other pairs or better in seven of eight. *chosen on
this target* is no true bound: a choice by one seed can lose to another, as dann's did by 14.6
points. With three seeds no gain over the source alone is proved; on printed digits → MNIST the
best, mdd, closes a fifth of the gap.""",
        tuning_seeds=(100,),
        chosen_by="Mean score (accuracy on the target, or information maximisation)",
        reference="source only",
        data=("MNIST/raw",),
    ),
)
