"""Train several runs together: their steps as one wherever they can be, everything else in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from jlrun.training.spans import (
    WAIT_SECONDS,
    PhaseRun,
    Span,
    Training,
    Waiting,
    raise_not_finite,
)
from jlrun.training.stacked.fitness import kind_of, why_not
from jlrun.training.stacked.stack import RunsFailed, Stack


@dataclass
class Member:
    """A run that trains with others.

    Attributes:
        name: for people.
        training: of the run.
        alike: equal for runs whose configs differ only in what may differ within a stack.
        around: the context in which the training goes on between steps.
        value: what the training returned; ``error``: what it raised.
        due: what it waits for; None: it has ended.
    """

    name: str
    training: Training[Any]
    alike: Hashable
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    value: Any = None
    error: BaseException | None = None
    due: Span | Waiting | None = None
    _phases: list[PhaseRun] = field(default_factory=list)
    _reason: tuple[PhaseRun, str | None] | None = None

    def go_on(self, error: Exception | None = None) -> None:
        """Go on until more steps are due, or the training ends.

        Args:
            error: what went wrong in the steps.
        """
        try:
            with self.around():
                self.due = next(self.training) if error is None else self.training.throw(error)
        except StopIteration as end:
            self.due, self.value = None, end.value
        except BaseException as raised:
            self.due, self.error = None, raised
        if isinstance(self.due, Span) and self.due.run not in self._phases:
            self._phases.append(self.due.run)

    @property
    def place(self) -> tuple[int, int]:
        """How far it is: phases that it began, and steps of the last one."""
        return len(self._phases), self._phases[-1].state.step if self._phases else 0

    def why_alone(self, say: Callable[[str], None]) -> str | None:
        """Return why its phase can't train with others; it is said once."""
        assert isinstance(self.due, Span)
        run = self.due.run
        if self._reason is None or self._reason[0] is not run:
            self._reason = (run, why_not(self.due))
            if self._reason[1] is not None:
                where = f"{run.fit}, phase '{run.phase.name}'"
                self.due.context.recorder.message(f"trains by itself: {self._reason[1]}")
                say(f"{where} trains run by run: {self._reason[1]}")
        return self._reason[1]


def together(
    members: Sequence[Member],
    ended: Callable[[Member], None],
    interrupted: Callable[[], bool],
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Train all members to their ends.

    Args:
        members: the runs; their trainings have not begun.
        ended: called with each that has ended.
        interrupted: whether the user asked all to stop.
        say: receives a line on what does not train together, once for each.
    """
    said: set[str] = set()

    def once(line: str) -> None:
        if line not in said:
            said.add(line)
            say(line)

    for member in members:
        _go_on(member, ended)
    stacks: dict[tuple[int, ...], Stack] = {}
    while any(member.due is not None for member in members):
        group = _next_group(members, once)
        if not group:
            waiting = [member for member in members if isinstance(member.due, Waiting)]
            time.sleep(WAIT_SECONDS)
            for member in waiting:
                _go_on(member, ended)
            continue
        for member, error in _advance(group, stacks, interrupted):
            _go_on(member, ended, error)
        for member in members:
            if isinstance(member.due, Waiting):
                _go_on(member, ended)


def _go_on(member: Member, ended: Callable[[Member], None], error: Exception | None = None) -> None:
    member.go_on(error)
    if member.due is None:
        ended(member)


def _next_group(members: Sequence[Member], say: Callable[[str], None]) -> list[Member]:
    """Return the runs that train next: of those that are least far, all that can train as one."""
    ready = [member for member in members if isinstance(member.due, Span)]
    if not ready:
        return []
    first = min(ready, key=lambda member: member.place)
    if len(ready) == 1 or first.why_alone(say) is not None:
        return [first]
    kind = _kind(first)
    return [m for m in ready if _kind(m) == kind and m.why_alone(say) is None]


def _kind(member: Member) -> Hashable:
    assert isinstance(member.due, Span)
    return member.alike, kind_of(member.due)


def _advance(
    group: Sequence[Member],
    stacks: dict[tuple[int, ...], Stack],
    interrupted: Callable[[], bool],
) -> Iterator[tuple[Member, Exception | None]]:
    """Do steps of a group; yield those whose span is done, and what went wrong in it."""
    if len(group) == 1:
        _forget(stacks, group)
        yield group[0], _alone(group[0])
        return
    spans = [member.due for member in group if isinstance(member.due, Span)]
    key = tuple(id(span.run) for span in spans)
    if key not in stacks:
        _forget(stacks, group)
        stacks[key] = Stack(spans)
        _tell(spans, stacks[key].in_turn)
    stack = stacks[key]
    by_run = {id(span.run): (span, member) for span, member in zip(spans, group, strict=True)}
    stack.spans = [by_run[id(run)][0] for run in stack.runs]
    began = time.perf_counter()
    errors: dict[int, Exception] = {}
    stack.begin()
    try:
        for _ in range(min(span.stop - span.run.state.step for span in spans)):
            stack.step()
            if interrupted():
                for span in spans:
                    span.interrupted = True
                break
    except RunsFailed as failed:
        errors = {id(stack.runs[i]): _not_finite(stack.runs[i], w) for i, w in failed.what.items()}
        for run in stack.runs:
            run.forget_batches()
    except Exception as error:
        errors = {id(run): error for run in stack.runs}
    stack.end()
    for span in spans:
        span.clock.share(time.perf_counter() - began, len(spans), stack.rows)
    for member, span in zip(group, spans, strict=True):
        error = errors.get(id(span.run))
        if error is not None or span.interrupted or span.run.state.step == span.stop:
            yield member, error


def _tell(spans: Sequence[Span], in_turn: Sequence[str]) -> None:
    """Note in the runs that they train as one."""
    others = f"{len(spans) - 1} other run{'' if len(spans) == 2 else 's'}"
    but = f", each with its own {', '.join(in_turn)}" if in_turn else ""
    for span in spans:
        span.context.recorder.message(f"trains as one with {others}{but}")


def _forget(stacks: dict[tuple[int, ...], Stack], group: Sequence[Member]) -> None:
    """Give up stacks with runs of a group, which train otherwise now."""
    runs = {id(member.due.run) for member in group if isinstance(member.due, Span)}
    for key in [key for key in stacks if runs.intersection(key)]:
        del stacks[key]


def _alone(member: Member) -> Exception | None:
    assert isinstance(member.due, Span)
    member.due.clock.skip()  # others have had their turns
    try:
        with member.around():
            member.due.advance()
    except Exception as error:
        return error
    return None


def _not_finite(run: PhaseRun, what: str) -> Exception:
    run.state.step += 1  # the step that failed, as the message counts
    try:
        raise_not_finite(run, what, run.state.step)
    except Exception as error:
        return error
