"""``jlrun push RUN OWNER/NAME``: a run's selected model and scores, to the Hugging Face Hub."""

from __future__ import annotations

from jlrun.cli.verbs import given_path, parser
from jlrun.wording import counted


def main(args: list[str]) -> int:
    """Push what a run needs to predict, its scores and its model card; the run is not changed.

    Raises:
        UserError: if there is no complete run, or the repository can't be written.
        RunError: if the Hub can't be reached.
    """
    parse = parser(
        "push",
        "Push a run to a repository of models on the Hugging Face Hub: selected weights, "
        "configuration, scores, curves and a model card. Rows, splits, predictions, pictures, "
        "baselines and the log stay here, and paths of this machine are cut to names.",
    )
    add = parse.add_argument
    add("run", type=given_path, help="run directory")
    add("repository", metavar="OWNER/NAME", help="made if there is none")
    add("--private", action="store_true", help="nobody else may see it")
    hashes = "also push a hash of each row, by which `evaluate` notices changed data and training "
    hashes += "rows; who has a row can then tell whether the run had it"
    add("--fingerprint", action="store_true", help=hashes)
    add("--dry", action="store_true", help="list the files and push nothing")
    parsed = parse.parse_args(args)

    from jlrun.runs import hub

    if parsed.dry:
        hub.hub_library(parsed.repository)
        with hub.staged(parsed.run, parsed.repository, parsed.fingerprint) as folder:
            files, last = hub.sizes(folder), "nothing was pushed"
    else:
        pushed = hub.push(parsed.run, parsed.repository, parsed.private, parsed.fingerprint)
        files, last = pushed.files, pushed.url
    width = max(map(len, files))
    for name, size in files.items():
        print(f"{name:<{width}}  {size:>13,}")
    print(f"{counted(len(files), 'file')}, {sum(files.values()) / 1e6:,.1f} MB: {last}")
    return 0
