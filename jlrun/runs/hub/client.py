"""Client of the Hub: the library, and its errors in one line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jlrun.errors import RunError, UserError
from jlrun.extras import import_extra

_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"


def hub_library(repo: str) -> Any:
    """Return the library ``huggingface_hub``.

    Args:
        repo: where a run goes to or comes from, ``owner/name``.

    Raises:
        UserError: if it is not installed, or ``repo`` is no such name.
    """
    if not _NAME.fullmatch(repo):
        raise UserError.of(repo, "expected owner/name, as in jane/digits")
    library = import_extra("huggingface_hub", "hub", repo)
    if not sys.stderr.isatty():  # bars of a log file or a notebook's cell are lines without end
        import_extra("huggingface_hub.utils", "hub", repo).disable_progress_bars()
    return library


@contextmanager
def hub_errors(repo: str) -> Iterator[None]:
    """Turn errors of the library into one line.

    Raises:
        UserError: for what the user can mend: the name, the access, the revision.
        RunError: if the Hub can't be reached, or refuses for a reason of its own.
    """
    errors = import_extra("huggingface_hub.errors", "hub", repo)
    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise UserError.of(repo, "there is no such revision") from error
    except errors.GatedRepoError as error:
        raise UserError.of(repo, f"its owner must give you access on the Hub; {_LOG_IN}") from error
    except errors.RepositoryNotFoundError as error:
        message = f"there is no such repository, or it is not yours to read or write; {_LOG_IN}"
        raise UserError.of(repo, message) from error
    except (errors.HFValidationError, errors.LocalTokenNotFoundError) as error:
        raise UserError.of(repo, _first_line(error)) from error
    except errors.HfHubHTTPError as error:
        raise _refused(repo, error) from error
    except Exception as error:
        cause = _of_network(error)
        if cause is None:
            raise
        if hasattr(cause, "response"):  # of where the Hub keeps large files
            raise RunError(f"{repo}: the Hub refuses: {_first_line(cause)}") from error
        raise RunError(f"{repo}: the Hub can't be reached ({_first_line(cause)})") from error


def _refused(repo: str, error: Any) -> UserError | RunError:
    status = getattr(error.response, "status_code", 0)
    if status in (401, 403):
        return UserError.of(repo, f"the Hub refuses access; {_LOG_IN}")
    said = getattr(error, "server_message", None) or _first_line(error)
    return RunError(f"{repo}: the Hub answers {status}: {' '.join(str(said).split())}")


def _of_network(error: BaseException) -> BaseException | None:
    """Return the error of the network among an error and its causes; None if there is none.

    Each version of the library has a client for HTTP of its own: requests, httpx or httpx2.
    """
    found: BaseException | None = error
    while found is not None:
        modules = {kind.__module__.partition(".")[0] for kind in type(found).__mro__}
        if modules & {"requests", "httpx", "httpx2"} or isinstance(found, ConnectionError):
            return found
        found = found.__cause__ or found.__context__
    return None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
