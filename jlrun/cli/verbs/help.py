"""``jlrun help``: what the command does, without importing Hydra or PyTorch."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from jlrun.cli.verbs import VERBS
from jlrun.config.options import Groups, package_folder, read_groups, user_folders

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
    for verb, description in VERBS.items():
        print(f"  {verb:<13}{description}")
    print("\nGroups (`jlrun ls GROUP` describes the options)")
    print(_listed(groups))
    print()
    print(_OPTIONS, end="")
    return 0


def _listed(groups: Groups) -> str:
    width = max(map(len, groups), default=0) + 2
    return "\n".join(
        textwrap.fill(
            ", ".join(options),
            width=100,
            initial_indent=f"  {group:<{width}}",
            subsequent_indent=" " * (width + 2),
            max_lines=2,
            placeholder=" …",
        )
        for group, options in groups.items()
    )
