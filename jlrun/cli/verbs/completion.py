"""``jlrun completion SHELL``: completion of verbs, keys and options for bash, zsh and fish."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from jlrun.cli.verbs import VERBS, parser
from jlrun.config.completing import overrides_like

_BASH = r"""
_jlrun() {
    local line="${COMP_LINE:0:COMP_POINT}" breaks="${COMP_WORDBREAKS//[^=:@]/}" word cut=""
    word="${line##*[[:space:]]}"
    [[ -n $breaks && ${COMP_WORDS[COMP_CWORD]} != [\'\"]* ]] && cut="${word%"${word##*[$breaks]}"}"
    mapfile -t COMPREPLY < <(command jlrun completion --line "$line" 2>/dev/null)
    COMPREPLY=("${COMPREPLY[@]#"$cut"}")
    [[ ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace
}
complete -o default -F _jlrun jlrun
"""
_ZSH = r"""
_jlrun() {
    local -a found
    found=("${(@f)$(command jlrun completion --line "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
    found=(${found:#})
    if (( $#found )); then compadd -S '' -- $found; else _files; fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _jlrun jlrun
"""
_FISH = r"""
function __jlrun_words
    command jlrun completion --line (commandline -cp | string collect) 2>/dev/null
end
complete -c jlrun -a '(__jlrun_words)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
INSTALL = {
    "bash": "echo 'eval \"$(jlrun completion bash)\"' >> ~/.bashrc",
    "zsh": "echo 'eval \"$(jlrun completion zsh)\"' >> ~/.zshrc",
    "fish": "echo 'jlrun completion fish | source' >> ~/.config/fish/config.fish",
}
OPTIONS = (
    *("--cfg", "--config-dir", "--help", "--info", "--multirun", "--package", "--resolve"),
    *("--trust", "--version"),
)
_TAKE_OVERRIDES = frozenset({"check", "evaluate", "init-config", "rank", "study"})


def main(args: Sequence[str]) -> int:
    """Print the script of a shell, or the line that installs it, and return 0."""
    parse = parser("completion", "Complete verbs, keys and options of jlrun in a shell.")
    help_ = "print its script; without one, the line that installs it"
    parse.add_argument("shell", nargs="?", choices=sorted(SCRIPTS), help=help_)
    parse.add_argument("--line", help="print what may stand at the end of this line")
    parsed = parse.parse_args(args)
    if parsed.line is not None:
        print("\n".join(candidates(parsed.line)))
    elif parsed.shell:
        print(SCRIPTS[parsed.shell].strip())
    else:
        own = Path(os.environ.get("SHELL", "")).name
        for shell in [own] if own in INSTALL else INSTALL:
            print(INSTALL[shell])
    return 0


def candidates(line: str) -> list[str]:
    """Return the words that may stand at the end of a line; none where a file may, as of verbs.

    Shells put an open quote in front of them again. They close it after the only one that there
    is, so that a list is closed there, too.

    Args:
        line: from ``jlrun`` to where one types.
    """
    (_, *before), word, quote = _words(line)
    if word.startswith("-"):
        return [option for option in OPTIONS if option.startswith(word)]
    verb = before[0] if before and before[0] in VERBS else ""
    if verb == "ls":
        return [name[:-1] for name in overrides_like(word) if name.endswith("=")]
    if verb and verb not in _TAKE_OVERRIDES:
        return []
    verbs = [] if before else [name for name in VERBS if name.startswith(word)]
    found = [*verbs, *overrides_like(word, before)]
    return [f"{each}]" if quote and "=[" in each else each for each in found]


def _words(line: str) -> tuple[list[str], str, str]:
    """Return the words before the last one, that one, and the quote that is open in it, if any."""
    words, quote = [""], ""
    for sign in line:
        if sign == quote:
            quote = ""
        elif not quote and sign in "'\"":
            quote = sign
        elif not quote and sign.isspace():
            words += [""] if words[-1] else []
        else:
            words[-1] += sign
    return [*words[:-1]] or [""], words[-1], quote
