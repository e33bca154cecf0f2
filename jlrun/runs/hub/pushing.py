"""Push of a run to the Hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jlrun.errors import UserError
from jlrun.files.atomic import write_text
from jlrun.runs.hub.card import card
from jlrun.runs.hub.client import hub_errors, hub_library
from jlrun.runs.hub.contents import KNOWN, README, SUMS, files_in, is_known, write_contents


@dataclass(frozen=True)
class Pushed:
    """What was pushed.

    Attributes:
        url: of the commit.
        files: path -> size in bytes.
    """

    url: str
    files: dict[str, int]


def push(directory: Path, repo: str, private: bool = False, fingerprint: bool = False) -> Pushed:
    """Push a run to a repository of models on the Hub, which is made if there is none.

    Args:
        directory: of the run.
        repo: ``owner/name``.
        private: whether nobody else may see a new repository.
        fingerprint: also push hashes of the rows; see `write_contents`.

    Raises:
        UserError: if the run is not complete, or the repository is public against ``private``,
            holds something else, or can't be written.
        RunError: if the Hub can't be reached.
    """
    library = hub_library(repo)
    with staged(directory, repo, fingerprint) as folder, hub_errors(repo):
        api = library.HfApi(library_name="jlrun")
        api.create_repo(repo, private=private or None, exist_ok=True)
        _check_place(api, repo, private)
        commit = api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            commit_message=f"Push {directory.resolve().name}",
            delete_patterns=list(KNOWN),  # of an earlier push
        )
        return Pushed(str(commit.commit_url), sizes(folder))


@contextmanager
def staged(directory: Path, repo: str, fingerprint: bool) -> Iterator[Path]:
    """Yield a temporary folder with what is pushed of a run; arguments and errors as `push`."""
    with TemporaryDirectory(prefix="jlrun_push_") as name:
        folder = Path(name)
        write_contents(directory, folder, fingerprint)
        write_text(folder / README, card(directory, repo))
        yield folder


def sizes(folder: Path) -> dict[str, int]:
    """Return path -> bytes of the files in a folder."""
    return {name: (folder / name).stat().st_size for name in files_in(folder)}


def _check_place(api: Any, repo: str, private: bool) -> None:
    """Check that a repository may be written: an empty one, or one of an earlier push.

    Raises:
        UserError: if it may not.
    """
    if private and not api.repo_info(repo).private:
        message = "the repository is there and public; make it private on the Hub, or leave out "
        raise UserError.of(repo, f"{message}--private")
    names = [name for name in api.list_repo_files(repo) if name not in (".gitattributes", README)]
    foreign = [name for name in names if not is_known(name)]
    if names and (foreign or SUMS not in names):
        other = (foreign or names)[0]
        raise UserError.of(repo, f"the repository holds other files ({other}); choose a new name")
