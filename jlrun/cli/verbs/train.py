"""``jlrun KEY=VALUE …``, ``jlrun check`` and ``jlrun resume``: train, check first, or go on."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from jlrun.cli.other_ranks import check_one_process
from jlrun.cli.verbs import VERBS, OptionParser, given_path, parser, run_verb, work_begins
from jlrun.errors import DONE, FAILED, INTERRUPTED, UserError, did_you_mean
from jlrun.wording import counted

_STATUS = {"completed": DONE, "failed": FAILED, "interrupted": INTERRUPTED}


_NAMED = (
    "jlrun has one config; write what differs into conf/experiment/NAME.yaml, add experiment=NAME"
)
_FOLDER = "use --config-dir DIR, which is searched for options besides ./conf"
_COMPLETION = "`jlrun completion` prints the line that installs completion"
_RUN = "leave it out: jlrun KEY=VALUE … runs"
# Options of Hydra that jlrun does not have -> what to use.
_OF_HYDRA = {
    **dict.fromkeys(("-cn", "--config-name"), _NAMED),
    **dict.fromkeys(("-cp", "--config-path", "-cd"), _FOLDER),
    **dict.fromkeys(("-sc", "--shell-completion"), _COMPLETION),
    **dict.fromkeys(("-r", "--run"), _RUN),
    "--hydra-help": "`jlrun --help` lists the options, `jlrun --cfg hydra` prints Hydra's node",
    "--experimental-rerun": "`jlrun resume RUN` goes on with a run",
}


def main(arguments: list[str]) -> int:
    """Train an experiment or a sweep of them, or print its config or the help, as options say."""
    options = _options(arguments)
    if options.help:
        return run_verb("help", [])
    if options.version:
        import jlrun

        print(f"jlrun {jlrun.__version__}")
        return DONE
    from jlrun.cli.verbs.help import warn_of_shadowed

    _reject_verbs(options.overrides)
    if options.cfg or options.info:
        from jlrun.config import show

        if options.info:
            return show.info(options.info, options.overrides, options.config_dir)
        return show.config(
            options.cfg,
            options.overrides,
            options.config_dir,
            package=options.package,
            resolve=options.resolve,
        )
    warn_of_shadowed(options.config_dir)
    if options.multirun:
        check_one_process("a sweep")
        from jlrun.runs.sweeps.launch import launch

        work_begins()
        return launch(options.overrides, options.config_dir)
    return _single(options.overrides, options.config_dir)


def _single(overrides: list[str], config_dir: str | None) -> int:
    for text in overrides:
        key = text.lstrip("+~").partition("=")[0]
        if key == "sweep" or key.startswith(("sweep.", "sweep/")):
            raise UserError.of(key, "is about sweeps: add --multirun, or leave it out")
    from jlrun.config import checked

    composed = checked(overrides, config_dir)
    from jlrun.config.folds import folded

    if folded(composed.config) is not None:
        check_one_process("a cross-validation")
    from jlrun.ranks.launch import joined
    from jlrun.runs.restarts import execute

    work_begins()
    engine = composed.config["engine"]
    with joined(engine["device"], engine["timeout"]):
        return _STATUS[execute(composed)]


def _options(arguments: list[str]) -> Namespace:
    """Return what the arguments of a run say.

    Raises:
        UserError: for options that do not exist.
    """
    parse = _parser()
    for text in arguments:
        name = text.partition("=")[0]
        if name in _OF_HYDRA:
            raise UserError.of(name, _OF_HYDRA[name])
    options, unknown = parse.parse_known_intermixed_args(arguments)
    if unknown:
        known = [name for action in parse._actions for name in action.option_strings]
        hint = did_you_mean(unknown[0], [*known, "--trust"])
        raise UserError.of("", f"there is no option '{unknown[0]}'.{hint}")
    return options


def _reject_verbs(overrides: Sequence[str]) -> None:
    """Check that no override is a misspelt verb, or a verb that does not come first.

    Raises:
        UserError: if there is one.
    """
    from jlrun.config.suggest import nearest

    for position, text in enumerate(overrides):
        verb = nearest(text, VERBS)
        if text in VERBS:
            raise UserError.of(text, f"a verb comes first: jlrun {text} …")
        if position == 0 and "=" not in text and verb is not None:
            raise UserError.of(text, f"there is no such verb. Did you mean 'jlrun {verb}'?")


def _parser() -> OptionParser:
    parse = OptionParser(add_help=False, allow_abbrev=False)
    parse.add_argument("overrides", nargs="*")
    parse.add_argument("-h", "--help", action="store_true")
    parse.add_argument("--version", action="store_true")
    parse.add_argument("-m", "--multirun", action="store_true")
    parse.add_argument("-c", "--cfg", choices=["job", "hydra", "all"])
    parse.add_argument("-p", "--package")
    parse.add_argument("--resolve", action="store_true")
    infos = ["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"]
    parse.add_argument("-i", "--info", choices=infos, nargs="?", const="all")
    parse.add_argument("--config-dir")
    return parse


def check(args: Sequence[str]) -> int:
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
        from jlrun.runs.sweeps.values import expand_simplex, settled_values
        from jlrun.runs.sweeps.variants import checked_variants

        expanded = expand_simplex(options.overrides, options.config_dir)
        overrides, repeated = settled_values(expanded, options.config_dir)
        for line in repeated:
            print(line)
        count = len(checked_variants(overrides, options.config_dir))
        print(f"OK: nothing is wrong in {counted(count, 'configuration')} to cover each value")
        return DONE
    from jlrun.config import checked

    config = checked(options.overrides, options.config_dir).config
    print(f"OK: nothing is wrong with this mode={config['mode']} configuration")
    return 0


def resume(args: list[str]) -> int:
    """Resume the run in a directory."""
    parse = parser("resume", "Go on with an interrupted, killed or failed run, exactly.")
    parse.add_argument("run", type=given_path, help="run directory")
    parse.add_argument(
        "overrides", nargs="*", metavar="epochs=N", help="train it, also a complete one, for N"
    )
    parsed = parse.parse_args(args)
    epochs = _epochs(parsed.overrides)

    from jlrun.config.folds import folded
    from jlrun.ranks.launch import joined
    from jlrun.runs import restarts
    from jlrun.runs.saved_run import load_any_config

    config = load_any_config(parsed.run)[0]
    if folded(config) is not None:
        check_one_process("a cross-validation")
    engine = config["engine"]
    with joined(engine["device"], engine.get("timeout", 600.0)):  # runs of before have none
        restarts.resume(parsed.run, epochs)
    return 0


def _epochs(overrides: list[str]) -> int | None:
    """Return the number of epochs asked for.

    Raises:
        UserError: for anything else, or something that is no such number.
    """
    found = None
    for override in overrides:
        key, _, value = override.partition("=")
        if key != "epochs":
            message = "a run is resumed as it was begun; epochs=N alone may change"
            raise UserError.of(override, message)
        if not value.isdecimal() or int(value) < 1:
            raise UserError.of("epochs", f"'{value}' is not a number of epochs, as in epochs=8")
        found = int(value)
    return found
