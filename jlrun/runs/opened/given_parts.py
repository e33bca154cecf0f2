"""Objects that a program hands to a run where a config has names: classes, functions and frames.

Classes and functions become options in a folder of their own, which Hydra composes like those of
the user. Frames become Parquet files, which the run keeps among its inputs, and overrides that name
them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from jlrun.config import checked, slots
from jlrun.config.compose import Composed
from jlrun.config.given import is_of_program
from jlrun.config.groups import GROUPS
from jlrun.config.nodes import KINDS, SEVERAL, SOURCES, kind_of
from jlrun.config.options import package_folder, read_groups, user_folders
from jlrun.errors import UserError, did_you_mean
from jlrun.files.atomic import copy_file
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.given_tables import FILES
from jlrun.runs.opened.frame_files import PythonWords, as_frame, write_frame
from jlrun.runs.opened.given_nodes import as_override, node_of, plain, targets_in

_SLOTS = {key: group.slot for group in GROUPS if group.slot for key in group.keys}
_NAMED = ("backbone", "terms", SEVERAL, SOURCES)  # with a name for each of several
_TABLE = "table"


@dataclass
class GivenParts:
    """Parts of a run that are objects of a program, as text.

    Attributes:
        overrides: those of the user, and those that name the parts.
        config_dir: a further folder of the user's options.
        folder: of the options that stand for classes and functions.
        frames: file -> config path of the data set and name in the run's inputs.
        targets: paths of what only this program can build.
    """

    overrides: list[str]
    config_dir: str | None
    folder: Path
    frames: dict[Path, tuple[str, str]] = field(default_factory=dict)
    targets: list[str] = field(default_factory=list)

    def checked(self) -> Composed:
        """Return the checked config of the run, which reads frames from its own inputs.

        Raises:
            UserError: with all that is wrong.
        """
        found = checked(self.overrides, self.config_dir, str(self.folder))
        inputs = RunDirectory(found.run_dir).inputs
        places = {file: inputs / name for file, (_, name) in self.frames.items()}
        final = {str(file): str(place) for file, place in places.items()}
        self.frames |= {place: self.frames[file] for file, place in places.items()}
        return replace(
            found,
            config=_with_files(found.config, final),
            overrides=[_with_files(text, final) for text in found.overrides],
            inferred=tuple(map(self.words.text, found.inferred)),
            inputs=places,
        )

    def keep_frames(self, home: Path) -> None:
        """Move frames to a folder that stays, for jobs of other processes and later ones.

        A frame is named by its content: the same call, made again, names the same file.

        Args:
            home: the folder.

        Raises:
            UserError: if it can't be written.
        """
        places = dict[str, str]()
        for file, known in list(self.frames.items()):
            name = hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest()
            place = home.absolute() / f"{name}.parquet"
            if not place.is_file():
                try:
                    copy_file(file, place)
                except OSError as error:
                    reason = error.strerror or error
                    raise UserError.of(str(home), f"the frame can't be kept: {reason}") from error
            places[str(file)] = str(place)
            self.frames[place] = known
        self.overrides = [_with_files(text, places) for text in self.overrides]

    @property
    def words(self) -> PythonWords:
        """Messages in the words of Python, frames in the place of files."""
        several = len({where for where, _ in self.frames.values()}) > 1
        titles = dict[str, str]()
        for file, (where, _) in self.frames.items():
            titles[str(file)] = f"the frame of {where}" if several else "the frame"
        names = {Path(file).name: title for file, title in titles.items()}
        return PythonWords(titles | names)

    def add(self, key: str, value: Any) -> None:
        """Note a part.

        Raises:
            UserError: if no object can stand there.
        """
        slot = _SLOTS.get(key)
        if slot is None:
            known = did_you_mean(key, _SLOTS)
            fix = f"values are overrides, as in jlrun.run(['{key}={value}'])"
            raise UserError.of(key, f"no object can stand there; {fix}.{known}")
        if key not in _NAMED:
            self._add_one(key, value, slot)
            return
        if not isinstance(value, Mapping) or "_target_" in value or _TABLE in value:
            example = {"backbone": "{'image': MyNet}", "terms": "{'mine': MyTerm}"}
            fix = example.get(key, "{'first': frame, 'second': other}")
            raise UserError.of(key, f"has a part for each name: {key}={fix}")
        if key in (SEVERAL, SOURCES):
            self.overrides.append("~dataset" if key == SEVERAL else "~dataset@source")
        for name, each in value.items():
            if not isinstance(name, str) or not name.isidentifier():
                raise UserError.of(key, f"{name!r} is no name of letters and digits")
            self._add_one(f"{key}.{name}", each, slot)

    def _add_one(self, where: str, value: Any, slot: slots.Slot) -> None:
        group = where.partition(".")[0]
        if isinstance(value, str):
            self._choose(where, value)
        elif slot is slots.DATASET and not _is_target(value):
            self._add_table(where, value)
        elif group == "terms":
            node = self._noted(node_of(where, value, slot))
            self.overrides.append(f"+{where}={as_override(node)}")
        else:
            node = self._noted(node_of(where, value, slot))
            self._choose(where, self._write_option(_folder_of(where), node, _parents(node, slot)))

    def _noted(self, node: dict[str, Any]) -> dict[str, Any]:
        self.targets += [path for path in targets_in(node) if is_of_program(path)]
        return node

    def _choose(self, where: str, option: str) -> None:
        group, _, name = where.partition(".")
        match group:
            case "source" | "target":
                self.overrides.append(f"dataset@{group}={option}")
            case "datasets" | "sources":
                self.overrides.append(f"+dataset@{where}={option}")
            case "backbone" if name in KINDS:
                self.overrides.append(f"backbone/{name}={option}")
            case "backbone":
                self.overrides.append(f"+backbone/{kind_of(name)}@{where}={option}")
            case "terms":
                raise UserError.of(where, f"'{option}' is an option: terms=[{option}]")
            case _:
                self.overrides.append(f"{where}={option}")

    def _write_option(self, group: str, node: Mapping[str, Any], parents: Sequence[str]) -> str:
        """Write an option, and return its name, which no other option of the group has."""
        groups = read_groups([package_folder(), *user_folders(self.config_dir), self.folder])
        taken = {name.lower() for name in groups.get(group, ())}
        name = str(node["_target_"]).rpartition(".")[2]
        name = name if name.isascii() else "given"
        while name.lower() in taken:
            name += "_given"
        content = {"defaults": [*parents, "_self_"], **node} if parents else dict(node)
        path = self.folder / group / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        path.write_text(text, encoding="utf-8")
        return name

    def _add_table(self, where: str, value: Any) -> None:
        """Note a frame, or a mapping with one under ``table`` and the settings of the table."""
        if isinstance(value, Mapping):
            if not {_TABLE, "path"} & value.keys():
                fix = "name the frame by {'table': frame}, or a function by {'_target_': load_mine}"
                raise UserError.of(where, f"holds no data: {fix}")
            settings = {"path" if key == _TABLE else str(key): v for key, v in value.items()}
        else:
            settings = {"path": value}
        self._choose(where, _TABLE)
        has_text = False
        for key in FILES:
            frame = as_frame(settings.get(key))
            if frame is not None:
                settings[key] = str(self._write_frame(where, key, frame))
                has_text |= any(frame[name].dtype.kind not in "biufcmM" for name in frame.columns)
        if not isinstance(settings["path"], str | os.PathLike):
            kind = type(settings["path"]).__name__
            message = (
                f"expected a frame of pandas or a function that returns a Dataset, not a {kind}"
            )
            raise UserError.of(where, message)
        if has_text and not any(o.startswith(f"{where}.files_root=") for o in self.overrides):
            settings.setdefault("files_root", str(Path.cwd()))  # of names of images in a frame
        for key, entry in settings.items():
            entry = os.fspath(entry) if isinstance(entry, os.PathLike) else entry
            text = as_override(plain(f"{where}.{key}", entry))
            self.overrides.append(f"{where}.{key}={text}")

    def _write_frame(self, where: str, key: str, frame: Any) -> Path:
        suffix = "" if key == "path" else f"_{key.removesuffix('_path')}"
        file = self.folder / "frames" / f"{where}{suffix}.parquet"
        file.parent.mkdir(exist_ok=True)
        write_frame(frame, file, where)
        self.frames[file] = (where, file.name)
        return file


@contextmanager
def given_parts(
    overrides: Sequence[str], config_dir: str | os.PathLike[str] | None, parts: Mapping[str, Any]
) -> Iterator[GivenParts]:
    """Yield the parts that are objects as text, whose files exist until the end.

    Raises:
        UserError: if overrides are no list of texts, or an object can't stand where it is given;
            also for what is wrong within, in the words of Python.
    """
    if isinstance(overrides, str) or not all(isinstance(text, str) for text in overrides):
        raise UserError.of("overrides", "give a list of texts, as in ['mode=multitask', 'seed=1']")
    with TemporaryDirectory(prefix="jlrun_") as folder:
        home = None if config_dir is None else os.fspath(config_dir)
        given = GivenParts(list(overrides), home, Path(folder).resolve())
        for key, value in parts.items():
            given.add(key, value)
        try:
            yield given
        except UserError as error:
            raise given.words.error(error) from None


def check_frames_alone(parts: Mapping[str, Any]) -> None:
    """Check that parts are tables, as jobs in other processes can have.

    Raises:
        UserError: with those that are not.
    """
    for key, value in parts.items():
        several = key in (SEVERAL, SOURCES) and isinstance(value, Mapping) and _TABLE not in value
        each = value.values() if several else (value,)
        if _SLOTS.get(key) is not slots.DATASET or any(map(_is_target, each)):
            message = "only frames can be given here, as jobs may be processes of their own"
            fix = "give a class by a YAML and trust=['its_package'] (docs/extending)"
            raise UserError.of(key, f"{message}; {fix}")


def _is_target(value: Any) -> bool:
    """Return whether a data set is given by what makes it, rather than by its rows."""
    if isinstance(value, Mapping):
        return "_target_" in value
    return callable(value) and as_frame(value) is None


def _folder_of(where: str) -> str:
    """Return the folder of the options for a place in the config."""
    group, _, name = where.partition(".")
    if group == "backbone":
        return f"backbone/{kind_of(name)}"
    return "dataset" if _SLOTS[group] is slots.DATASET else group


def _parents(node: Mapping[str, Any], slot: slots.Slot) -> list[str]:
    """Return the options of the group whose keys an option must have, too."""
    if slot is slots.DATASET:
        return ["_subset"]
    if slot is slots.WEIGHTING:
        from jlrun.config.build import class_of
        from jlrun.objective.weightings import GradientWeighting, Weighting

        of_gradients = issubclass(class_of(node, Weighting), GradientWeighting)
        return ["_gradients"] if of_gradients else []
    return []


def _with_files(value: Any, final: Mapping[str, str]) -> Any:
    """Return plain values with paths of files in the place of others."""
    if isinstance(value, dict):
        return {key: _with_files(entry, final) for key, entry in value.items()}
    if isinstance(value, list):
        return [_with_files(entry, final) for entry in value]
    if isinstance(value, str):
        for before, after in final.items():
            value = value.replace(before, after)
    return value
