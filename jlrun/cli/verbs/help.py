"""``jlrun help`` and ``jlrun ls [GROUP]``: what there is, without importing Hydra or PyTorch."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence

from jlrun.cli.verbs import VERBS, parser
from jlrun.config.options import (
    Groups,
    chosen_groups,
    package_folder,
    read_groups,
    shadowed,
    user_folders,
)
from jlrun.wording import terminal_width, wrapped

_WIDTH, _LONGEST = 100, 200  # of lines that go to no terminal: texts, descriptions

_USAGE = """\
jlrun trains joint-learning experiments: transfer, multi-task and multimodal learning.

  jlrun KEY=VALUE …                 train, and compare with what it must beat
  jlrun --multirun KEY=A,B …        train every combination, and summarise over seeds
  jlrun VERB …                      see below

Examples
  jlrun mode=transfer
  jlrun mode=multitask weighting=uncertainty optimizer.lr=3e-3
  jlrun --multirun mode=multimodal fusion=concat,gated seed=0,1,2
"""

_OPTIONS = """\
Options
  --cfg job|hydra|all   print the configuration and stop (--resolve, --package KEY)
  --info                print how the configuration is composed
  --config-dir DIR      search DIR for options, besides ./conf
  --trust PACKAGE       let _target_ name classes of your own package (or JLRUN_TRUST=A,B)
  --version, -h, --help

Runs go to outputs/<mode>/<date>_<time>_<id>/ (hydra.run.dir=PATH sets it), sweeps to
outputs/multirun/. Each holds config.yaml, result.json, metrics.csv, checkpoints/, tb/ and figures/.
"""


def main(args: Sequence[str] = ()) -> int:
    """Print the help and return 0."""
    groups = read_groups([package_folder(), *user_folders()])
    print(_USAGE)
    print("Verbs")
    width = terminal_width(_WIDTH)
    for verb, description in VERBS.items():
        print(wrapped(description, width, " " * 15, f"  {verb:<13}"))
    print("\nGroups (`jlrun ls GROUP` describes the options)")
    print(_listed(groups))
    print()
    print(_OPTIONS, end="")
    return 0


def _listed(groups: Groups) -> str:
    """Return a line for each group; those without a choice share one."""
    single = [group for group, options in groups.items() if list(options) == ["default"]]
    shown = {group: list(options) for group, options in groups.items() if group not in single}
    shown |= {"settings": single} if single else {}
    width = max(map(len, shown), default=0) + 2
    return "\n".join(
        textwrap.fill(
            ", ".join(names),
            width=max(terminal_width(_WIDTH), width + 30),
            initial_indent=f"  {group:<{width}}",
            subsequent_indent=" " * (width + 2),
            max_lines=1,
            placeholder=" …",
        )
        for group, names in shown.items()
    )


def ls(args: Sequence[str]) -> int:
    """Print config groups and their options, the user's ``./conf`` included, and return 0.

    Raises:
        UserError: if there is no such group.
    """
    parse = parser("ls", "List config groups and their options.")
    parse.add_argument("groups", nargs="*", metavar="GROUP", help="for example backbone/image")
    parse.add_argument("--config-dir", help="a further folder of options")
    options = parse.parse_args(args)
    groups = read_groups([package_folder(), *user_folders(options.config_dir)])
    columns = terminal_width(_LONGEST)
    for group in chosen_groups(groups, options.groups):
        print(group)
        width = max(map(len, groups[group])) + 2
        for option in groups[group].values():
            name = f"  {option.name:<{width}}"
            print(wrapped(option.description, columns, " " * len(name), name).rstrip())
    warn_of_shadowed(options.config_dir)
    return 0


def warn_of_shadowed(config_dir: str | None) -> None:
    """Warn on stderr of the user's files that jlrun's own options hide."""
    for path in shadowed(user_folders(config_dir)):
        print(f"jlrun: {path} has no effect: jlrun has an option of that name", file=sys.stderr)
