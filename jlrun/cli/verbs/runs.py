"""``jlrun runs [FILTER …]``: the runs in a folder, without PyTorch."""

from __future__ import annotations

import json
import shlex
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jlrun.cli.verbs import given_path, parser
from jlrun.errors import UserError
from jlrun.files.atomic import finite
from jlrun.runs.listing.filters import Filter, check_known, matching, number_of
from jlrun.runs.listing.found import Found, find_runs
from jlrun.runs.listing.table import as_json, lines
from jlrun.wording import counted, terminal_width

WIDTH = 120  # of a line that goes to no terminal


def main(args: Sequence[str]) -> int:
    """Print the runs, newest first.

    Raises:
        UserError: if there is no such folder, or no run has a key that is asked for.
    """
    options = _parsed(args)
    for text in options.filters:
        if Path(text).is_dir():
            fix = f"list the runs of a folder by --dir {shlex.quote(text)}"
            raise UserError.of(text, f"that is a folder, and no filter; {fix}")
    if not options.dir.is_dir():
        message = "there is no such folder; runs go to outputs/ of the working directory"
        raise UserError.of(str(options.dir), message)
    filters = [Filter.parse(text) for text in options.filters]
    entries = find_runs(options.dir)
    shown = _chosen(entries, filters, options)
    if options.json:
        print(json.dumps(finite(as_json(shown)), indent=2, ensure_ascii=False))
        return 0
    runs = [run for entry in entries for run in entry.runs]
    expand = bool(filters) or options.all
    table = lines(shown, terminal_width(WIDTH), options.sort, expand)
    print("\n".join(table or [_nothing(runs, options)]))
    return 0


def _parsed(args: Sequence[str]) -> Namespace:
    parse = parser(
        "runs",
        "List the runs in a folder, newest first. Sweeps, folds and studies are one line each, "
        "and one for each of their runs with a filter or --all.",
    )
    parse.add_argument(
        "filters",
        nargs="*",
        metavar="FILTER",
        help="status=failed, mode=multitask, weighting=pcgrad,famo, optimizer.lr!=0.001, "
        "'val/mean_score>0.9': of result.json, scores, config and overrides",
    )
    parse.add_argument("--dir", type=given_path, default=given_path("outputs"), help="the folder")
    parse.add_argument("--sort", metavar="KEY", help="by this number, the largest first")
    parse.add_argument("--reverse", action="store_true", help="in the opposite order")
    parse.add_argument("--all", action="store_true", help="also the runs of groups, and folds")
    parse.add_argument("--json", action="store_true", help="all scores, for programs")
    return parse.parse_intermixed_args(args)


def _chosen(entries: list[Found], filters: list[Filter], options: Namespace) -> list[Found]:
    """Return what is listed; with a key to sort by, runs without their groups."""
    runs = [run for entry in entries for run in (entry.all_runs if options.all else entry.runs)]
    kept = {id(run) for run in matching(runs, filters)}
    if options.sort is not None:
        check_known(runs, options.sort)
        keys = {id(run): number_of(run, options.sort) for run in runs if id(run) in kept}
        known = [run for run in runs if keys.get(id(run)) is not None]
        known.sort(key=lambda run: keys[id(run)] or 0.0, reverse=not options.reverse)
        unknown = [run for run in runs if id(run) in kept and keys[id(run)] is None]
        return [replace(run, members=()) for run in (*known, *unknown)]
    found = [entry for each in entries for entry in _within(each, kept, options)]
    return found[::-1] if options.reverse else found


def _within(entry: Found, kept: set[int], options: Namespace) -> list[Found]:
    """Return an entry with those of its members that are listed; nothing if none is."""
    if entry.kind in ("run", "folds"):
        members = [fold for fold in entry.members if options.all and id(fold) in kept]
        listed = id(entry) in kept or members
        return [replace(entry, members=tuple(members))] if listed else []
    members = [m for each in entry.members for m in _within(each, kept, options)]
    listed = members or not (entry.members or options.filters)
    return [replace(entry, members=tuple(members))] if listed else []


def _nothing(runs: Sequence[Found], options: Namespace) -> str:
    if not runs:
        return f"no runs in {options.dir}"
    return f"none of {counted(len(runs), 'run')} in {options.dir} is so"
