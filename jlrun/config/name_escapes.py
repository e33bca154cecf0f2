"""Names that Hydra's grammar does not take: quoted as values, escaped as keys of mappings.

Hydra reads neither letters beyond ASCII without quotes nor quotes around a key. Here
``{Größe: number}``, ``{"a, b": number}`` and ``[Preis (EUR)]`` are rewritten before it reads them;
``dataset.tasks.Größe.metric=f1`` becomes ``dataset.tasks={Größe: {metric: f1}}``. Escapes of keys
are undone in the composed config.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from omegaconf import DictConfig, ListConfig

from jlrun.data.written_names import quoted, readings

_ESCAPE = re.compile(r"%u\+([0-9A-F]{4,6})\.")
_CLOSING = {"[": "]", "{": "}", "(": ")"}
_QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""")
_INTERPOLATION = re.compile(r"\$\{[^}]*\}")
_WORD = re.compile(r"[\w \t/\\+.$%*@?|:-]*", re.ASCII)
_KEY = re.compile(r"[\w \t/+.$%*@?|-]*", re.ASCII)
_SEGMENT = re.compile(r"[A-Za-z_$@/][\w$@/:-]*|\d+", re.ASCII)
_FUNCTIONS = re.compile(
    r"(choice|range|interval|glob|sort|shuffle|tag|extend_list|simplex|str|int)\("
)
_LISTED = ("[", "{")


def escaped(override: str) -> str:
    """Return an override with its names quoted and escaped, as far as its brackets match."""
    key, sign, value = override.partition("=")
    if not sign or override.startswith("~"):
        return override
    key, value = _folded(key, value)
    start = value.lstrip()[:1]
    if start in _LISTED and start:
        rewritten = _Rewriter(value.strip()).whole()
        return override if rewritten is None else f"{key}={rewritten}"
    lone = not re.search(r"[,'\"\[\]{}()]|\$\{", value) and not _WORD.fullmatch(value)
    return f"{key}={quoted(value)}" if lone else f"{key}={value}"


def escape(name: str) -> str:
    """Return a name in letters that Hydra takes as a key."""
    found = re.sub(r"[^A-Za-z0-9_ -]|^[ -]|[ -]$", lambda m: _code(m[0]), name)
    return found if name and not list(readings(name)) else _code(name[:1]) + found[1:]


def unescape(text: str) -> str:
    """Return text without escapes."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)


_FOLDED = re.compile(r"(\{[^:{},]*:\s*)*")


def place_of(override: str) -> str:
    """Return what an override sets: its key, with the names that were moved into its value."""
    key, _, value = override.partition("=")
    moved = _FOLDED.match(value) if _ESCAPE.search(value) else None
    return key + (moved[0] if moved else "")


def unescape_keys(node: DictConfig | ListConfig) -> None:
    """Replace escapes in all keys of a config."""
    content = node._content
    if isinstance(content, dict):
        renamed = {unescape(k) if isinstance(k, str) else k: child for k, child in content.items()}
        for key, child in renamed.items():
            child._set_key(key)
        content.clear()
        content.update(renamed)
    children = content.values() if isinstance(content, dict) else content
    for child in children if isinstance(children, Sequence) else list(children or ()):
        if isinstance(child, DictConfig | ListConfig) and isinstance(child._content, dict | list):
            unescape_keys(child)


def has_escapes(overrides: Sequence[str]) -> bool:
    """Whether any override has an escape."""
    return any(_ESCAPE.search(text) for text in overrides)


def _code(letters: str) -> str:
    return "".join(f"%u+{ord(letter):04X}." for letter in letters)


def _folded(key: str, value: str) -> tuple[str, str]:
    """Return a key without the names in it that Hydra does not take, and the value with them."""
    bare = key.lstrip("+")
    segments = bare.split(".")
    wrong = [i for i, segment in enumerate(segments) if not _SEGMENT.fullmatch(segment)]
    if not wrong or wrong[0] < 2 or not all(segments) or not value:
        return key, value
    first = wrong[0]
    for segment in reversed(segments[first:]):
        value = f"{{{quoted(segment)}: {value}}}"
    return key[: len(key) - len(bare)] + ".".join(segments[:first]), value


class _Mismatch(Exception):
    """Brackets or quotes that do not match."""


class _Rewriter:
    """Rewrites the names in a list or mapping.

    Args:
        text: begins with a bracket.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def whole(self) -> str | None:
        """Return the text rewritten; None if its brackets do not match."""
        try:
            parts = [self._element("")]
            while self._at < len(self._text):  # a sweep over lists or mappings
                parts.append(self._take(","))
                parts.append(self._element(""))
        except _Mismatch:
            return None
        return "".join(parts)

    def _element(self, closing: str) -> str:
        blank = self._blank()
        start = self._text[self._at : self._at + 1]
        if start in _LISTED and start:
            return blank + self._container(start)
        if found := _QUOTED.match(self._text, self._at):
            self._at = found.end()
            return blank + found[0] + self._blank()
        word = self._word(f",{closing}")
        return blank + _as_value(word)

    def _container(self, opening: str) -> str:
        closing = _CLOSING[opening]
        parts = [self._take(opening), self._blank()]
        if self._text[self._at : self._at + 1] == closing:
            return "".join([*parts, self._take(closing), self._blank()])
        while True:
            if opening == "{":
                parts += [self._key(), self._take(":")]
            parts.append(self._element(closing))
            if self._text[self._at : self._at + 1] != ",":
                return "".join([*parts, self._take(closing), self._blank()])
            parts.append(self._take(","))

    def _key(self) -> str:
        blank = self._blank()
        if found := _QUOTED.match(self._text, self._at):
            self._at = found.end()
            self._blank()
            return blank + escape(_unquoted(found[0]))
        word = self._word(":,}").rstrip()
        plain = _KEY.fullmatch(word) or "\\" in word or "${" in word
        return blank + (word if plain else escape(word))

    def _word(self, ends: str) -> str:
        """Take letters up to one of ``ends`` outside brackets."""
        if self._text[self._at : self._at + 1] in ("'", '"'):
            raise _Mismatch  # a quote that is not closed
        start, open_brackets = self._at, list[str]()
        while self._at < len(self._text):
            letter = self._text[self._at]
            if found := _INTERPOLATION.match(self._text, self._at):
                self._at = found.end()
                continue
            if not open_brackets and letter in ends:
                break
            if open_brackets and letter == open_brackets[-1]:
                open_brackets.pop()
            elif letter in _CLOSING:
                open_brackets.append(_CLOSING[letter])
            self._at += 2 if letter == "\\" else 1
        if open_brackets:
            raise _Mismatch
        return self._text[start : self._at]

    def _take(self, letter: str) -> str:
        if self._text[self._at : self._at + 1] != letter:
            raise _Mismatch
        self._at += 1
        return letter

    def _blank(self) -> str:
        start = self._at
        while self._text[self._at : self._at + 1] in (" ", "\t"):
            self._at += 1
        return self._text[start : self._at]


def _as_value(word: str) -> str:
    bare = word.strip()
    kept = not bare or _WORD.fullmatch(bare) or "\\" in bare or "${" in bare
    return word if kept or _FUNCTIONS.match(bare) else quoted(bare)


def _unquoted(text: str) -> str:
    """Return the text within the quotes of Hydra."""
    quote = re.escape(text[0])
    inside = re.sub(rf"(\\*)\\{quote}", lambda m: m[1][: len(m[1]) // 2] + text[0], text[1:-1])
    tail = len(inside) - len(inside.rstrip("\\"))
    return inside[: len(inside) - tail // 2] if tail else inside
