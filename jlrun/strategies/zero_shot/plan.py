"""Zero-shot learning: one phase on the seen classes of the target; scored on all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch

from jlrun.data.labelled_streams import LabelledStreams, head_name
from jlrun.data.strata import class_column
from jlrun.data.streams import Stream
from jlrun.errors import UserError
from jlrun.evaluation.scores import Predict, SplitScores
from jlrun.models.class_vectors import ClassVectors
from jlrun.models.joint_model import JointModel
from jlrun.strategies.plan_parts import Begin, PlanContext
from jlrun.strategies.zero_shot import (
    ESZSL,
    AllClasses,
    ClassSplit,
    Method,
    Scored,
    SeenClasses,
    SolveEszsl,
    best_bias,
    report,
)
from jlrun.strategies.zero_shot.protocol import chance
from jlrun.tasks import Multiclass, TaskSpec
from jlrun.tasks.objective import Objective
from jlrun.training.plan import Comparison, Fit, Phase, Plan, Recipe, TermMaker
from jlrun.training.recorder import MAIN_FIT

CALIBRATION = "calibration"


@dataclass(frozen=True)
class ZeroShot:
    """Settings of zero-shot learning.

    Attributes:
        split: which classes are seen.
        method: what seen classes are trained with.
        vectors: what describes the classes.
        calibration: models trained without some of the seen classes, to choose the bias by; 0: the
            scores are not calibrated.
    """

    split: ClassSplit
    method: Method
    vectors: ClassVectors
    calibration: int


def plan_zero_shot(
    target: LabelledStreams, zero_shot: ZeroShot, context: PlanContext, start: Begin | None = None
) -> Plan:
    """Return the plan of training on seen classes and scoring on all.

    The checkpoint is selected by validation rows, which are of seen classes, among these. The bias
    of calibrated stacking is that which is best for models that were trained without some of the
    seen classes, on validation rows of all seen classes; in units of the spread of scores.

    Args:
        target: one multiclass task; of its rows only those of the test split have unseen classes.
        zero_shot: method and classes.
        parts: collaborators.
        start: weights from elsewhere, which each model begins with.

    Raises:
        UserError: if the task is of another kind.
    """
    spec = _only_task(target, zero_shot.method)
    split = zero_shot.split
    pseudo = {f"{CALIBRATION}/{i + 1}": p for i, p in enumerate(_pseudo_splits(zero_shot))}
    make = _Making(target, spec, zero_shot.method, context, start)

    def more(predict: Callable[[str], Predict]) -> dict[str, object]:
        held_out = [make.score(predict(name), target.val, p) for name, p in pseudo.items()]
        units = [best_bias(scored) / max(scored.spread(), 1e-12) for scored in held_out]
        bias = None
        if units:
            spread = make.score(predict(MAIN_FIT), target.val, split).spread()
            bias = spread * sum(units) / len(units)
        content = report(make.score(predict(MAIN_FIT), target.test, split), bias)
        without = {"attributes_without_contrast": list(split.without_contrast(zero_shot.vectors))}
        return {"zero_shot": content | without}

    def compare(scores: Mapping[str, SplitScores]) -> Comparison:
        return Comparison({"chance": {spec.name: chance(split)}}, None)

    # What calibrates another model is scored on validation rows, and no test row is read for it.
    streams = {CALIBRATION: target.val} if pseudo else {}
    main = replace(make.fit(MAIN_FIT, split, target.name), val_scored=(make.learned(split),))
    return Plan(
        fits=(main, *(make.fit(name, p, CALIBRATION) for name, p in pseudo.items())),
        val={target.name: target.val, **streams},
        test={target.name: target.test, **streams},
        compare=compare,
        report=more,
    )


@dataclass(frozen=True)
class _Making:
    """Makes fits that differ in what is seen."""

    target: LabelledStreams
    spec: TaskSpec
    method: Method
    context: PlanContext
    start: Begin | None

    def learned(self, split: ClassSplit) -> Objective:
        """Return what is trained, and selected by."""
        task = self.spec.task
        assert isinstance(task, Multiclass), "checked where the plan begins"
        metric = next(iter(task.compared), None)
        return self._objective(
            SeenClasses(split, self.method, task.label_smoothing, metric), self.target.name
        )

    def fit(self, name: str, split: ClassSplit, scored_on: str) -> Fit:
        """Return a fit on the seen classes of ``split``, scored on a stream of the plan."""
        phase = Phase(
            name="train",
            train={self.target.name: _only(self.target.train, self.spec, split)},
            val={self.target.name: _only(self.target.val, self.spec, split)},
            objectives=(self.learned(split),),
            selection=(self.learned(split),),
            epochs=self.context.epochs,
            recipe=self._recipe(split),
            learned=self.start is not None or self.context.pretrained,
        )
        return Fit(
            name=name,
            modalities=self.context.modalities,
            heads={head_name(self.spec): self.spec},
            phases=(phase,),
            scored=(self._objective(AllClasses(split), scored_on),),
            begin=_keeping_class_vectors(self.start, head_name(self.spec)),
            pretrained_alike=True,
        )

    def score(self, predict: Predict, stream: Stream, split: ClassSplit) -> Scored:
        """Return the scores of all labelled rows of ``stream``."""
        objective = self._objective(AllClasses(split), stream.name)
        scores, target = [], []
        with torch.no_grad():
            for batch in stream.sweep():
                (prediction,) = predict(batch, [objective])
                assert prediction.logits is not None, "one model, no ensemble"
                rows = batch.labelled.get(self.spec.column)
                keep = slice(None) if rows is None else rows
                scores.append(prediction.logits[keep].cpu())
                target.append(batch.targets[self.spec.column][keep].cpu())
        return Scored(torch.cat(scores), torch.cat(target), split)

    def _objective(self, task: Multiclass, stream: str) -> Objective:
        spec = replace(self.spec, task=task)
        return Objective(spec.name, stream, spec, head_name(spec))

    def _recipe(self, split: ClassSplit) -> Recipe:
        method, recipe = self.method, self.context.recipe
        if not isinstance(method, ESZSL):
            return recipe
        head, stream, column = head_name(self.spec), self.target.name, self.spec.column
        solving = partial(SolveEszsl, head, stream, column, split, method)
        return replace(recipe, terms={**recipe.terms, "eszsl": TermMaker(SolveEszsl, solving)})


def _only_task(target: LabelledStreams, method: Method) -> TaskSpec:
    if len(target.tasks) != 1 or not isinstance(target.tasks[0].task, Multiclass):
        found = ", ".join(f"{s.name} ({type(s.task).__name__.lower()})" for s in target.tasks)
        message = f"zero-shot learning is about one multiclass task, found {found}"
        raise UserError.of("tasks", f"{message}; choose one by tasks=[…]")
    (spec,) = target.tasks
    assert isinstance(spec.task, Multiclass)
    if spec.task.label_smoothing and not method.softmax:
        raise UserError.of(
            f"target.tasks.{spec.column}.label_smoothing",
            f"{type(method).__name__} ranks classes and has no labels to smooth; use 0",
        )
    if spec.task.options.class_weights is not None or spec.task.options.focal:
        raise UserError.of(
            f"target.tasks.{spec.column}.loss",
            f"{type(method).__name__} has a loss of its own, without class weights and focal; "
            "leave them out",
        )
    return spec


def _pseudo_splits(zero_shot: ZeroShot) -> list[ClassSplit]:
    """Return what calibrating models see; of two seen classes none can be spared."""
    if len(zero_shot.split.seen) < 3:
        return []
    return [zero_shot.split.pseudo(number) for number in range(zero_shot.calibration)]


def _keeping_class_vectors(start: Begin | None, head: str) -> Begin:
    """Return what changes a model by ``start``, but leaves what describes its classes."""

    def begin(model: JointModel) -> None:
        if start is None:
            return
        buffers = dict(model.heads[head].named_buffers())
        own = {name: b.clone() for name, b in buffers.items() if name == "class_vectors"}
        start(model)
        for name, values in own.items():
            buffers[name].copy_(values)

    return begin


def _only(stream: Stream, spec: TaskSpec, split: ClassSplit) -> Stream:
    """Return the rows of seen classes."""
    seen = split.is_seen(class_column(stream.rows, spec.column))
    return stream if bool(seen.all()) else stream.take(seen.nonzero().flatten())
