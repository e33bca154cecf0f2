"""``jlrun init-config data.csv``: an experiment for a table, with everything that was inferred."""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jlrun.cli.verbs import given_path, parser
from jlrun.config.options import package_folder
from jlrun.errors import Problem, UserError
from jlrun.files.atomic import write_text
from jlrun.files.places import check_file

if TYPE_CHECKING:
    from jlrun.data.tables.files.request import Request


def main(args: Sequence[str]) -> int:
    """Write the YAML of an experiment, say what was inferred, and how to run it.

    Raises:
        UserError: if the table can't be read, or the file is there already.
    """
    parse = parser("init-config", "Infer an experiment from a table and write it.")
    parse.add_argument("table", type=given_path, help="CSV, TSV, JSON Lines or Parquet")
    parse.add_argument("overrides", nargs="*", help="dataset.reading.decimal=comma and the like")
    parse.add_argument(
        "--targets", default="", help="columns to predict: rating,price or '\"a, b\",c'"
    )
    parse.add_argument("--output", type=given_path, help="default: conf/experiment/<table>.yaml")
    parse.add_argument("--force", action="store_true", help="replace a file that is there")
    options = parse.parse_intermixed_args(args)

    from jlrun.data.tables.files.outline import outline
    from jlrun.data.tables.files.starting_config import starting_config

    try:
        request = _request(options.table, options.targets, options.overrides)
        found = outline(request)
    except UserError as error:
        raise _in_own_words(error) from error
    output = options.output or Path("conf/experiment") / f"{_free_name(options.table.stem)}.yaml"
    if output.exists() and not options.force:
        raise UserError.of("--output", f"'{output}' is there already; add --force to replace it")
    check_file(output, "--output")
    write_text(output, starting_config(request, found))
    for line in found.lines[1:]:
        print(line)
    print(f"written: {output}")
    print(f"run it:  {_command(output)}")
    return 0


_KEYS = ("columns", "targets", "split_column", "group_by", "files_root", "reading")


def _request(table: Path, targets: str, overrides: Sequence[str]) -> Request:
    """Return the table as options and overrides describe it."""
    from jlrun.config.compose import compose
    from jlrun.config.tables import request_of
    from jlrun.data.written_names import as_written

    for override in overrides:
        key = override.lstrip("+").partition("=")[0]
        if not key.startswith(tuple(f"dataset.{name}" for name in _KEYS)):
            allowed = ", ".join(f"dataset.{name}" for name in _KEYS)
            raise UserError.of(key, f"is to be set in the written file; here: {allowed}")
    names = [name.strip() for name in next(csv.reader([targets], skipinitialspace=True), [])]
    listed = ", ".join(as_written(name) for name in names if name)
    asked = [f"dataset.targets=[{listed}]"] if listed else []
    node = compose(["mode=multitask", "dataset=table", *asked, *overrides]).config["dataset"]
    return request_of("dataset", {**node, "path": str(table)})


_OPTION = re.compile(r"'?dataset\.targets=\[((?:[^\]\"]|\"[^\"]*\")*)\]'?")


def _in_own_words(error: UserError) -> UserError:
    words = {"dataset.path": "table", "dataset.targets": "--targets", "dataset": "table"}
    return UserError(
        [
            Problem(words.get(p.where, p.where), _OPTION.sub(_option, p.message))
            for p in error.problems
        ]
    )


def _option(found: re.Match[str]) -> str:
    return f"--targets '{found[1]}'"


def _free_name(stem: str) -> str:
    """Return a name for the experiment that is not one of jlrun's own."""
    from jlrun.data.tables.files.column_names import slug

    name = slug(stem) or "table"
    return f"{name}_table" if (package_folder() / "experiment" / f"{name}.yaml").exists() else name


def _command(output: Path) -> str:
    if output.resolve().parent == (Path.cwd() / "conf" / "experiment"):
        return f"jlrun experiment={output.stem}"
    if output.parent.name == "experiment":
        folder = shlex.quote(str(output.parent.parent))
        return f"jlrun --config-dir {folder} experiment={output.stem}"
    return (
        "move it to conf/experiment/ of the working directory, then: "
        + f"jlrun experiment={output.stem}"
    )
