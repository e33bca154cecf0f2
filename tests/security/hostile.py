"""What a stranger may put into files: each would leave a canary, if anyone did as it says."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import yaml

CANARY = "canary"


class Canary:
    """Pickled: makes a file where it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def loaders(folder: Path) -> dict[str, dict[str, Any]]:
    """Return nodes that name what reads and runs files in packages that are trusted.

    Args:
        folder: where the files that they read lie, and the canary would.
    """
    hub, pickled, outside = folder / "hub", folder / "pickled.pt", folder / CANARY
    hub.mkdir(exist_ok=True)
    touch = f"open({str(outside)!r}, 'w').close()\n"
    (hub / "hubconf.py").write_text(f"def part():\n    {touch}    return None\n")
    pickled.write_bytes(pickle.dumps(Canary(outside)))
    hub_load = {"repo_or_dir": str(hub), "model": "part", "source": "local"}
    load = {"f": str(pickled), "weights_only": False}
    return {
        "torch.hub": {"_target_": "torch.hub.load", **hub_load},
        "its alias": {"_target_": "torchvision.models._api.torch.hub.load", **hub_load},
        "torch.load": {"_target_": "torch.load", **load},
        "torch.serialization": {"_target_": "torch.serialization.load", **load},
        "a loader of numpy": {
            "_target_": "torch.serialization.np.load",
            "file": str(pickled),
            "allow_pickle": True,
        },
        "an extension": {
            "_target_": "torch.utils.cpp_extension.load",
            "name": "part",
            "sources": [str(hub / "part.cpp")],
        },
        "a library": {"_target_": "torch.ops.load_library", "path": str(hub / "part.so")},
        "classes of a library": {"_target_": "torch.classes.load_library", "path": "part.so"},
        "a script": {"_target_": "torch.jit.load", "f": str(hub / "part.pt")},
        "a package": {
            "_target_": "torch.package.PackageImporter",
            "file_or_buffer": str(hub / "part.pt"),
        },
        "a module over there": {
            "_target_": "torch.distributed.nn.RemoteModule",
            "remote_device": "worker/cpu",
            "module_cls": "torch.nn.Identity",
        },
        "a download": {
            "_target_": "torchvision.datasets.utils.download_url",
            "url": (hub / "hubconf.py").as_uri(),
            "root": str(folder),
            "filename": CANARY,
        },
        "files of jlrun": {
            "_target_": "jlrun.files.atomic.write_text",
            "path": str(outside),
            "text": "",
        },
        "the command of jlrun": {"_target_": "jlrun.cli.main.main", "argv": ["ls"]},
        "another slot": {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1},
        "another package": {"_target_": "os.system", "command": f"touch {outside}"},
        "a wrapper": {
            "_target_": "functools.partial",
            "_args_": [{"_target_": "torch.hub.load", **hub_load}],
        },
        "an argument": {
            "_target_": "jlrun.tasks.Multiclass",
            "label_smoothing": {"_target_": "torch.hub.load", **hub_load},
        },
        "arguments of Hydra": {"_target_": "jlrun.tasks.Multiclass", "_partial_": True},
    }


BOMB = """a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
"""

# name: text, and what the message says of it in a file of a run
YAML = {
    "aliases of aliases": (BOMB, "alias"),
    "an alias": ("a: &a 1\nb: *a\n", "alias"),
    "an anchor": ("a: &a 1\n", "alias"),
    "itself": ("a: &a [*a]\n", "alias"),
    "depth": ("a: " + "[" * 500 + "]" * 500, "nested"),
    "depth of blocks": ("".join(" " * i + "a:\n" for i in range(200)), "nested"),
    "a tag": ("a: !!python/object/apply:os.system ['touch canary']\n", "tag"),
    "a harmless tag": ("a: !!binary aGVsbG8=\n", "tag"),
    "a key twice": ("a: 1\na: 2\n", "twice"),
    "a long number": ("a: " + "1" * 10_000, "number of 10,000"),
    "no date": ("a: 2020-99-99\n", "month"),
    "no text": ("a: \x00\n", "can't be read"),
}

JSON = {
    "depth": "[" * 100_000,
    "closed depth": "[" * 100_000 + "]" * 100_000,
    "not a number": '{"a": NaN}',
    "infinity": '{"a": -Infinity}',
    "a long number": '{"a": ' + "1" * 10_000 + "}",
    "half": '{"a": ',
}


def put_kind(run: Path, node: Any) -> None:
    """Let the tasks of a run's model be ``node``."""
    file = run / "model.json"
    content = json.loads(file.read_text())
    for head in content["heads"].values():
        head["kind"] = node
    file.write_text(json.dumps(content))


def put_node(run: Path, path: str, node: Any) -> None:
    """Let ``node`` stand at ``path`` in a run's config."""
    file = run / "config.yaml"
    content = yaml.safe_load(file.read_text())
    *holders, key = path.split(".")
    holder = content
    for name in holders:
        holder = holder.setdefault(name, {})
    holder[key] = node
    file.write_text(yaml.safe_dump(content, sort_keys=False))
