"""``jlrun check KEY=VALUE …``: every check of a configuration, without training."""

from __future__ import annotations

from collections.abc import Sequence

from jlrun.cli.verbs.arguments import parser


def main(args: Sequence[str]) -> int:
    """Print one line if nothing is wrong, and return 0.

    Raises:
        UserError: with all that is wrong.
    """
    parse = parser("check", "Find all that is wrong with a configuration, without training.")
    parse.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parse.add_argument("-m", "--multirun", action="store_true", help="each value of a sweep")
    parse.add_argument("--config-dir", help="a further folder of options")
    options = parse.parse_intermixed_args(args)
    if options.multirun:
        from jlrun.runs.sweeps.values import settled_values
        from jlrun.runs.sweeps.variants import checked_variants

        overrides, repeated = settled_values(options.overrides, options.config_dir)
        for line in repeated:
            print(line)
        count = len(checked_variants(overrides, options.config_dir))
        print(f"OK: nothing is wrong in {count} configurations that cover each value")
        return 0
    from jlrun.config import checked

    config = checked(options.overrides, options.config_dir).config
    print(f"OK: nothing is wrong with this mode={config['mode']} configuration")
    return 0
