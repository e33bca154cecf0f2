"""The command ``jlrun``: its options, its verbs and its exit codes. Imports no PyTorch itself."""

from __future__ import annotations

import errno
import gc
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from typing import NoReturn

from jlrun.cli.other_ranks import check_one_process, silent_but_first
from jlrun.cli.verbs import VERBS, OptionParser, run_verb, work_begins
from jlrun.errors import (
    DONE,
    FAILED,
    INTERRUPTED,
    WRONG,
    Interrupted,
    Problem,
    RunError,
    UserError,
    shortened,
)
from jlrun.files.names import printable
from jlrun.ranks.environment import adopt_slurm, rank

# What is no mistake of the user: a disk that is full or broken, too many open files.
_FAILING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE}


def entrypoint() -> NoReturn:
    """Run the command and leave with its exit code."""
    # PyTorch's threads wait for each other by spinning. On two cores with one of them taken by
    # another process that makes a small training step 25 times slower (137 ms for 5.5); spinning
    # for a shorter time costs nothing measurable when there is none (5.8 ms) and saves most of it
    # (32 ms). Read by the OpenMP runtime when PyTorch is imported.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    gc.disable()  # until `work_begins`: what is imported and composed stays
    if isinstance(sys.stdout, TextIOWrapper):  # what a terminal can't show is no reason to fail
        sys.stdout.reconfigure(errors="backslashreplace")
    adopt_slurm()
    with silent_but_first():
        code = main()
    try:
        sys.stdout.flush()
    except OSError:
        _write_no_more()
        code = code or FAILED
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Returns:
        0 done; 1 the run failed, some job of a sweep did, or jlrun is at fault; 2 the config or
        the input is wrong; 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        _check_decodable(arguments)
        return _run(arguments)
    except UserError as error:
        report(error.problems)
        return _traced(WRONG)
    except RunError as error:
        print(printable(f"jlrun: {error}"), file=sys.stderr)
        return _traced(FAILED)
    except (Interrupted, KeyboardInterrupt) as error:
        if rank() == 0:  # of all ranks alike
            print(f"jlrun: {str(error) or 'interrupted'}", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as end:  # argparse leaves so after the help of a verb
        return int(end.code or DONE)
    except BrokenPipeError:
        # The reader of our output, such as `head`, has left.
        _write_no_more()
        return DONE
    except MemoryError:
        print("jlrun: out of memory", file=sys.stderr)
        return _traced(FAILED)
    except OSError as error:
        return _refused_by_the_system(error)
    except Exception as error:  # the last net: what ends here is to be mended at its root
        from jlrun.runs.faults import fault_lines

        print(fault_lines(error), file=sys.stderr)
        return _traced(FAILED)


def _refused_by_the_system(error: OSError) -> int:
    """Report which file the system refused, and why."""
    from jlrun.files.places import FULL

    reason = error.strerror or str(error) or type(error).__name__
    where = f"{shortened(str(error.filename))}: " if error.filename is not None else ""
    fix = "; free some space and try again" if error.errno in FULL else ""
    print(f"jlrun: {where}{reason}{fix}", file=sys.stderr)
    return _traced(FAILED if error.errno in _FAILING or error.filename is None else WRONG)


def _write_no_more() -> None:
    """Discard what is still to be printed: flushing it at exit would fail."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _check_decodable(arguments: Sequence[str]) -> None:
    """Check that arguments are valid UTF-8, as configs and logs are."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            message = f"{argument!a} is not valid UTF-8; rename what it names"
            raise UserError.of("", message) from error


def report(problems: Sequence[Problem]) -> None:
    """Print problems to stderr: one line, or a block."""
    if len(problems) == 1:
        print(printable(f"jlrun: {problems[0]}"), file=sys.stderr)
        return
    lines = [f"jlrun: {len(problems)} problems in the configuration"]
    text = "\n".join([*lines, *(f"  {problem}" for problem in problems)])
    print(printable(text), file=sys.stderr)


def _run(arguments: list[str]) -> int:
    from jlrun.config.trust import also_trusting

    if not arguments:
        return import_module("jlrun.cli.verbs.next_step").main()
    if arguments[0] in {"-h", "--help"}:
        arguments = ["help"]
    trusted, arguments = _take_trusted(arguments)
    with also_trusting(trusted):
        if arguments and arguments[0] in VERBS:
            if arguments[0] != "resume":
                check_one_process(f"jlrun {arguments[0]}")
            work_begins()
            return run_verb(arguments[0], arguments[1:])
        return import_module("jlrun.cli.verbs.train").main(arguments)


def _take_trusted(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Take every ``--trust PACKAGE`` out of the arguments of whatever verb."""
    parser = OptionParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--trust", action="append", default=[])
    known, rest = parser.parse_known_args(arguments)
    return known.trust, rest


def _traced(code: int) -> int:
    if os.environ.get("JLRUN_DEBUG") == "1" or os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exc()
    return code
