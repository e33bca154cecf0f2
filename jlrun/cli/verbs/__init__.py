"""Verbs of the command, and the parsers of their arguments.

``jlrun VERB`` runs `main` of the module of that name, or the function of that name in `SHARED`.
"""

from __future__ import annotations

import gc
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from jlrun.errors import UserError

VERBS = {
    "ls": "groups and their options",
    "init-config": "infer an experiment from a table and write it",
    "check": "find what is wrong with a configuration, without training",
    "resume": "go on with an interrupted run",
    "evaluate": "score a run's best checkpoint on its test split",
    "diagnose": "which tasks of a run help which, and whose gradients conflict",
    "predict": "predict the rows of a file or folder with a run's best checkpoint",
    "export": "write a run's model as safetensors, ONNX or torch.export, with a model card",
    "serve": "answer JSON and images with predictions, on this machine alone",
    "push": "a run's model and scores to the Hugging Face Hub, without its rows",
    "pull": "a run from the Hugging Face Hub into a folder, checked",
    "soup": "average the weights of several runs, as long as validation gains by it",
    "study": "which tasks and modalities help which on a data set, at equal budget, with seeds",
    "rank": "which run or pretrained model to transfer from, before training anything",
    "runs": "the runs in a folder, by what they are and what they score",
    "compare": "how the configurations and scores of runs differ, and their curves in one figure",
    "report": "one HTML page on a run, a sweep, a study or a folder of runs",
    "board": "TensorBoard over outputs/",
    "completion": "completion in bash, zsh and fish",
    "help": "this text",
}
# Verbs whose module has others, too.
SHARED = {"check": "train", "resume": "train", "ls": "help"}


def run_verb(verb: str, arguments: Sequence[str]) -> int:
    """Run a verb with its arguments, and return its exit code."""
    module, function = (SHARED[verb], verb) if verb in SHARED else (verb.replace("-", "_"), "main")
    return getattr(import_module(f"{__name__}.{module}"), function)(list(arguments))


def work_begins() -> None:
    """Let garbage be collected, but never look again at what start-up has left in memory.

    That is a million objects of imported modules, which each full collection of a run would visit.
    """
    if not gc.isenabled():  # as `jlrun.cli.main.entrypoint` has it; in other programs all stays
        gc.freeze()
        gc.enable()


class _Parser(ArgumentParser):
    """Parser that raises `UserError` for wrong arguments."""

    def error(self, message: str) -> NoReturn:
        raise UserError.of(self.prog.removeprefix("jlrun "), message)


class OptionParser(ArgumentParser):
    """Parser of options without a verb that raises `UserError` for wrong ones."""

    def error(self, message: str) -> NoReturn:
        raise UserError.of("", f"{message}; `jlrun --help` lists the options")


def given_path(text: str) -> Path:
    """Return an argument as a path.

    Raises:
        ArgumentTypeError: if it is empty, which would mean the folder that one is in.
    """
    if not text.strip():
        raise ArgumentTypeError("is empty; name a file or folder (. is the one you are in)")
    return Path(text)


def parser(verb: str, description: str) -> ArgumentParser:
    """Return a parser for ``jlrun <verb>`` that raises `UserError` for wrong arguments."""
    return _Parser(prog=f"jlrun {verb}", description=description)


def names_data(overrides: Sequence[str]) -> bool:
    """Return whether overrides replace a run's data: its data sets, or the seed of splits."""
    from jlrun.config.nodes import SEVERAL, SINGLE, SOURCES

    nodes = (*SINGLE, SEVERAL, SOURCES, "data_root", "seed", "zero_shot")
    return any(override.partition("=")[0].split(".")[0] in nodes for override in overrides)
