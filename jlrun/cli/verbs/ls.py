"""``jlrun ls [GROUP]``: config groups and their options, the user's ``./conf`` included."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from jlrun.cli.verbs.arguments import parser
from jlrun.config.options import Groups, package_folder, read_groups, shadowed, user_folders
from jlrun.errors import UserError, did_you_mean


def main(args: Sequence[str]) -> int:
    """Print the groups, or those that are named, and return 0.

    Raises:
        UserError: if there is no such group.
    """
    parse = parser("ls", "List config groups and their options.")
    parse.add_argument("groups", nargs="*", metavar="GROUP", help="for example backbone/image")
    parse.add_argument("--config-dir", help="a further folder of options")
    options = parse.parse_args(args)
    groups = read_groups([package_folder(), *user_folders(options.config_dir)])
    for group in _chosen(groups, options.groups):
        print(group)
        width = max(map(len, groups[group])) + 2
        for option in groups[group].values():
            print(f"  {option.name:<{width}}{option.description}".rstrip())
    warn_of_shadowed(options.config_dir)
    return 0


def warn_of_shadowed(config_dir: str | None) -> None:
    """Warn on stderr of the user's files that jlrun's own options hide."""
    for path in shadowed(user_folders(config_dir)):
        print(f"jlrun: {path} has no effect: jlrun has an option of that name", file=sys.stderr)


def _chosen(groups: Groups, wanted: Sequence[str]) -> list[str]:
    chosen = []
    for name in wanted:
        name = name.strip("/")
        found = [group for group in groups if group == name or group.startswith(f"{name}/")]
        if not found:
            raise UserError.of("", f"there is no group '{name}'.{did_you_mean(name, groups)}")
        chosen += found
    return chosen if wanted else list(groups)
