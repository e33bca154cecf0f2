"""More epochs for a run: where what was trained is what a longer run would have trained."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jlrun.config import check_values
from jlrun.config.build import class_of
from jlrun.errors import Problem, UserError
from jlrun.models import checkpoints
from jlrun.models.sharing import Sharing
from jlrun.objective.balance import Balance
from jlrun.runs.job import Job
from jlrun.runs.saved_run import load_config
from jlrun.runs.settings import RunSettings
from jlrun.runs.shared_baselines import ORIGIN_FILE
from jlrun.training.fit_folder import FitFolder
from jlrun.training.plan import Fit, Phase, Plan
from jlrun.wording import counted

_CONSTANT = "jlrun.training.schedules.Constant"
_ANEW = "train anew with all epochs"


def lengthened(job: Job, epochs: int) -> tuple[Job, dict[str, Any], tuple[str, ...]]:
    """Return the run with more epochs, its config, and lines on other changes in that.

    A warm-up is a share of the steps: the share becomes smaller, so that the steps stay.

    Raises:
        UserError: if there are not more epochs, or the config is not valid with them.
    """
    old, (config, _) = job.settings.strategy.epochs, load_config(job.directory)
    if epochs <= old:
        fix = "give more, or leave epochs out to go on with a run that has not come to its end"
        raise UserError.of(
            "epochs", f"the run has {counted(old, 'epoch')} already, not fewer; {fix}"
        )
    config["epochs"], notes = epochs, list[str]()
    scheduler = config["scheduler"]
    if scheduler.get("_target_") == _CONSTANT and scheduler.get("warmup"):
        scheduler["warmup"] = scheduler["warmup"] * old / epochs
        notes.append(f"scheduler.warmup={scheduler['warmup']:g}: as many steps as before")
    problems = check_values(config)
    if problems:
        raise UserError(problems)
    others = tuple(text for text in job.overrides if text.lstrip("+").partition("=")[0] != "epochs")
    at = next((i for i, o in enumerate(job.overrides) if o.startswith("epochs=")), len(others))
    overrides = (*others[:at], f"epochs={epochs}", *others[at:])
    longer = replace(job, settings=RunSettings.parse(config), overrides=overrides)
    return longer, config, tuple(notes)


def check_longer(job: Job, before: Plan, after: Plan) -> list[str]:
    """Return the names of the fits that become longer.

    Raises:
        UserError: with the reasons why the steps that were taken would have been others.
    """
    by_name = {fit.name: fit for fit in before.fits}
    longer, problems = list[str](), list[Problem]()
    balance = job.settings.recipe.balance
    balance_spans = balance is not None and class_of(balance, Balance).spans_phase
    if class_of(job.settings.model.sharing, Sharing).spans_phase:
        problems.append(Problem("sharing", f"goes by the share of the phase that is done; {_ANEW}"))
    for fit in after.fits:
        old = by_name.get(fit.name)
        if old is None or _steps(old) == _steps(fit):
            continue
        longer.append(fit.name)
        if not _copied(job.folder(fit.name)):
            problems += _obstacles(job.folder(fit.name), old, fit, balance_spans)
    if not longer:
        raise UserError.of("epochs", "no phase of this run becomes longer by it")
    if problems:
        raise UserError(list({str(p.where) + p.message: p for p in problems}.values()))
    return longer


def forget_ends(job: Job, fits: Sequence[str]) -> None:
    """Mark these fits as unfinished; baselines copied from other runs are deleted.

    The files that the shorter run ended with are deleted, too: its predictions, and what was fitted
    to its validation rows.
    """
    for name in fits:
        folder = job.folder(name)
        if _copied(folder):
            shutil.rmtree(folder.path)
        else:
            (folder.path / "fit.json").unlink(missing_ok=True)
    job.files.test_predictions.unlink(missing_ok=True)
    job.files.calibration.unlink(missing_ok=True)


def _steps(fit: Fit) -> list[tuple[str, int]]:
    return [(phase.name, phase.num_steps) for phase in fit.phases]


def _copied(folder: FitFolder) -> bool:
    return (folder.path / ORIGIN_FILE).is_file()


def _obstacles(folder: FitFolder, old: Fit, new: Fit, balance_spans: bool) -> Iterator[Problem]:
    """Yield why a fit can't go on to be the longer one."""
    if _steps(old)[:-1] != _steps(new)[:-1]:
        names = ", ".join(f"'{phase.name}'" for phase in old.phases[:-1])
        yield Problem("epochs", f"phases before the last ({names}) would be longer, too; {_ANEW}")
        return
    if not checkpoints.exists(folder.last):
        return
    saved = checkpoints.load_state(folder.last)
    unfinished = saved["unfinished"]
    if saved["completed"]["phases"] < len(old.phases) - 1:
        return  # the last phase has not begun
    if unfinished is None:
        if saved["completed"]["phases"] == len(old.phases):
            found = "holds no state to go on from: the run is of an earlier version"
            yield Problem(str(folder.last), f"{found}; {_ANEW}")
        return
    yield from _changed_past(old, new, unfinished["state"])
    if balance_spans:
        where = f"phase '{old.phases[-1].name}' ({old.name})"
        yield Problem("balance", f"goes by the share of {where} that is done; {_ANEW}")


def _changed_past(old: Fit, new: Fit, state: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what would have been otherwise in the steps that the last phase has taken."""
    before, after, done = old.phases[-1], new.phases[-1], state["step"]
    recipe, where = before.recipe, f"phase '{before.name}' ({old.name})"
    if recipe.patience is not None and state["stale_epochs"] >= recipe.patience:
        epoch = -(-done // before.steps_per_epoch)
        found = f"{where} stopped early after epoch {epoch} (patience={recipe.patience})"
        yield Problem("epochs", f"{found}: more epochs change nothing")
    step = _first_other_rate(before, after, done)
    if step is not None:
        yield Problem(
            "scheduler",
            f"the learning rate at step {step} of {where} depends on the number of epochs, as with "
            f"cosine and one_cycle; {_ANEW}, or begin with scheduler=constant",
        )
    ramps = (
        (recipe.ramp(s / before.num_steps), recipe.ramp(s / after.num_steps)) for s in (1, done)
    )
    if any(a != b for a, b in ramps):
        yield Problem("lambda_ramp", f"λ grows over all of {where}; {_ANEW}")
    for name, term in recipe.terms.items():
        if term.spans_phase and term.acts_in(before.offers):
            yield Problem(f"terms.{name}", f"goes by the share of {where} that is done; {_ANEW}")


def _first_other_rate(before: Phase, after: Phase, done: int) -> int | None:
    """Return the first of the steps taken whose learning rate would be another one."""
    old, new = before.recipe.schedule, after.recipe.schedule
    return next(
        (s for s in range(done) if old(s, before.num_steps) != new(s, after.num_steps)), None
    )
