"""Pull of a run from the Hub."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jlrun.errors import UserError
from jlrun.files.atomic import copy_folder
from jlrun.files.lock import held_output
from jlrun.files.places import check_folder
from jlrun.runs.hub.client import hub_errors, hub_library
from jlrun.runs.hub.contents import README, check_sums, is_known
from jlrun.runs.saved_run import load_config

_CACHE = ".cache"  # what the library notes of downloads in a folder


def pull(repo: str, output: Path, revision: str | None = None) -> None:
    """Write a run from the Hub into a folder, complete and checked, or not at all.

    Args:
        repo: ``owner/name``.
        output: a new or empty folder.
        revision: branch, tag or commit; None: the newest.

    Raises:
        UserError: if there is no such repository or run, a file is not as it was pushed, or
            something is in the way.
        RunError: if the Hub can't be reached.
    """
    library = hub_library(repo)
    check_folder(output, "--output")
    if output.is_dir() and any(output.iterdir()):
        raise UserError.of("--output", f"'{output}' is not empty; choose a new folder")
    output = output.resolve()
    with (
        held_output(output, "--output"),
        TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as name,
    ):
        folder = Path(name)
        with hub_errors(repo):
            _download(library.HfApi(library_name="jlrun"), repo, revision, folder)
        shutil.rmtree(folder / _CACHE, ignore_errors=True)
        check_sums(folder, repo)
        load_config(folder)
        partial = output.with_name(f".{output.name}.new")
        if not copy_folder(folder, output, partial, {}, leave=""):
            raise UserError.of("--output", f"'{output}' is not empty; choose a new folder")


def _download(api: Any, repo: str, revision: str | None, folder: Path) -> None:
    """Write those files of a repository into a folder that a run has."""
    commit = api.repo_info(repo, revision=revision).sha
    for path in api.list_repo_files(repo, revision=commit):
        if is_known(path) or path == README:
            api.hf_hub_download(repo, path, revision=commit, local_dir=folder)
