"""Arms of a study: what is trained, as overrides of a run, and which question each answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations

from hydra.core.override_parser.types import Quote, QuotedString

from jlrun.config.nodes import kind_of
from jlrun.runs.study.settings import Question, StudySettings

EQUAL = "equal"
# Runs are compared with each other, and drawn in the study's own figures.
_QUIET = (
    "baselines=false",
    "references=false",
    "recorder.figures=false",
)
_MEASURED = ("diagnosis.every=20", "diagnosis.affinity=true")


_FEWEST_ROWS = 10


@dataclass(frozen=True)
class Subject:
    """Data set of a study, and the budget that each of its fits has.

    Attributes:
        tasks: their names.
        modalities: their names.
        overrides: those of the user, without ``mode`` and the study's own.
        epochs: of every fit.
        batch_size: of every fit, if there are so many rows.
        patience: as text; null: none.
        train_rows: rows of the training split.
    """

    tasks: tuple[str, ...]
    modalities: tuple[str, ...]
    overrides: tuple[str, ...]
    epochs: int
    batch_size: int
    patience: str
    train_rows: int

    @property
    def fixed(self) -> tuple[str, ...]:
        """Overrides that give each fit the same budget."""
        return (
            f"epochs={self.epochs}",
            f"batch_size={min(self.batch_size, self.train_rows)}",
            f"patience={self.patience}",
        )


@dataclass(frozen=True)
class Arm:
    """What one cell of the study trains, but for the seed.

    Attributes:
        name: ``<question>/<what>``, also its folder.
        question: that it is trained for.
        tasks: that it learns and is scored on.
        overrides: of its runs.
        source: arm whose run of the same seed it begins with; None: from scratch.
        modality: the only one; None: all.
    """

    name: str
    question: Question
    tasks: tuple[str, ...]
    overrides: tuple[str, ...]
    source: str | None = None
    modality: str | None = None


def alone(task: str) -> str:
    """Return the name of the arm that learns a task alone."""
    return f"alone/{_slug(task)}"


def joint(weighting: str = EQUAL) -> str:
    """Return the name of the arm that learns all tasks."""
    return f"joint/{weighting}"


def pair(one: str, other: str) -> str:
    """Return the name of the arm that learns two tasks."""
    return f"pair/{_slug(one)}+{_slug(other)}"


def after(source: str, task: str) -> str:
    """Return the name of the arm that learns a task from the weights of another."""
    return f"transfer/{_slug(source)}-{_slug(task)}"


def few(task: str, share: float, source: bool) -> str:
    """Return the name of the arm that learns a task from a share of the rows."""
    return f"few/{_slug(task)}-{share:g}-{'after' if source else 'scratch'}"


def without(task: str) -> str:
    """Return the name of the arm that learns all tasks but one."""
    return f"others/{_slug(task)}"


def of_modality(modality: str) -> str:
    """Return the name of the arm with one modality and all tasks."""
    return f"modality/{_slug(modality)}"


def arms_of(subject: Subject, settings: StudySettings) -> list[Arm]:
    """Return the arms in the order in which they are worth their cost."""
    asked = set(settings.questions) | {"alone"}
    return [arm for arm in _all(subject, settings) if arm.question in asked]


def _all(subject: Subject, settings: StudySettings) -> Iterator[Arm]:
    tasks = subject.tasks
    for task in tasks:
        yield Arm(alone(task), "alone", (task,), _run(subject, (task,)))
    if len(tasks) > 1:
        yield Arm(joint(), "joint", tasks, (*_run(subject, tasks), *_MEASURED))
    if len(subject.modalities) > 1:
        yield from _modalities(subject)
    if len(tasks) > 1:
        for name in settings.weightings:
            overrides = (*_run(subject, tasks), f"weighting={name}")
            yield Arm(joint(name), "weightings", tasks, overrides)
    if len(tasks) > 2:
        for two in combinations(tasks, 2):
            yield Arm(pair(*two), "pairs", two, _run(subject, two))
    for source, task in permutations(tasks, 2):
        yield Arm(
            after(source, task), "transfer", (task,), _after(subject, task), source=alone(source)
        )
    yield from _few(subject, settings)
    if settings.pretraining:
        terms = f"terms={_listed(settings.pretraining)}"
        overrides = (*_run(subject, tasks), terms)
        yield Arm("pretraining/all", "pretraining", tasks, overrides)


def _modalities(subject: Subject) -> Iterator[Arm]:
    for modality in subject.modalities:
        overrides = _run(subject, subject.tasks, modality)
        yield Arm(of_modality(modality), "modalities", subject.tasks, overrides, modality=modality)


def _few(subject: Subject, settings: StudySettings) -> Iterator[Arm]:
    """Yield each task from few rows: from scratch, and after all other tasks on all rows."""
    tasks = subject.tasks
    if len(tasks) < 2:
        return
    for task in tasks:
        others = tuple(other for other in tasks if other != task)
        source = alone(others[0]) if len(others) == 1 else without(task)
        if len(others) > 1:
            yield Arm(source, "few", others, _run(subject, others))
        for share in settings.shares:
            fewer = _limited(subject, max(_FEWEST_ROWS, round(share * subject.train_rows)))
            yield Arm(few(task, share, False), "few", (task,), _run(fewer, (task,)))
            begun = _after(fewer, task)
            yield Arm(few(task, share, True), "few", (task,), begun, source=source)


def _limited(subject: Subject, rows: int) -> Subject:
    others = [text for text in subject.overrides if not text.startswith("dataset.limit=")]
    overrides = (*others, f"dataset.limit={rows}")
    return replace(subject, overrides=overrides, train_rows=rows)


def _run(subject: Subject, tasks: Sequence[str], modality: str | None = None) -> tuple[str, ...]:
    several = len(subject.modalities) > 1 and modality is None
    chosen = subject.modalities if modality is None else (modality,)
    unfused = () if modality is None else ("fusion=none",)
    given = [o for o in subject.overrides if modality is None or _concerns(o, modality)]
    return (
        f"mode={'multimodal' if several else 'multitask'}",
        *given,
        f"tasks={_listed(tasks)}",
        f"modalities={_listed(chosen)}",
        *subject.fixed,
        *_QUIET,
        *unfused,
    )


def _concerns(override: str, modality: str) -> bool:
    """Return whether an override fits a model of one modality: no fusion, no other encoder."""
    encoder = re.match(r"[+~]*backbone[./](\w+)", override)
    if encoder is not None:
        return encoder[1] in (modality, kind_of(modality))
    return not re.match(r"[+~]*fusion\b", override)


def _after(subject: Subject, task: str) -> tuple[str, ...]:
    """Return overrides of fine-tuning from a run; ``source.run`` is added with the seed."""
    renamed = [
        re.sub(r"^(\+?)dataset=", r"\1dataset@target=", re.sub(r"^(\+?)dataset\.", r"\1target.", o))
        for o in subject.overrides
    ]
    fused = any(re.match(r"\+?fusion=", text) for text in renamed)
    fusion = ["fusion=gated"] if len(subject.modalities) > 1 and not fused else []
    return (
        "mode=transfer",
        *renamed,
        *fusion,
        f"tasks={_listed([task])}",
        f"modalities={_listed(subject.modalities)}",
        *subject.fixed,
        *_QUIET,
    )


def quoted(text: str) -> str:
    """Return a text as Hydra's grammar takes it, whatever it contains."""
    return QuotedString(text, Quote.single).with_quotes()


def _listed(names: Sequence[str]) -> str:
    return f"[{','.join(map(quoted, names))}]"


def _slug(name: str) -> str:
    """Return a name for a folder that no other name has; ``urllib.parse.unquote`` undoes it."""
    return re.sub(r"[^\w.]", lambda found: "".join(f"%{b:02x}" for b in found[0].encode()), name)
