"""Names that Hydra's grammar does not take: as a shell hands them over, to the composed config."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from jlrun.config.compose import compose, make_loader
from jlrun.config.names import find_names
from jlrun.config.show import info
from jlrun.data.written_names import as_written, kind_setting, setting

TABLE = ["mode=multitask", "dataset=table"]
NAMES = [
    *(
        "Größe",
        "价格",
        "my name",
        "Größe [cm]",
        "Preis (EUR)",
        "Preis, brutto",
        "a=b",
        "x.y",
        "c+d",
    ),
    *(
        "Kid's age",
        'it"s',
        '5" disk',
        "{k}: v",
        "1_2",
        "true",
        "#5",
        "~t",
        "$x",
        "back\\slash",
        " x",
    ),
]


def dataset(*overrides: str) -> dict[str, Any]:
    return compose([*TABLE, *overrides]).config["dataset"]


def test_what_a_message_prints_is_read_back() -> None:
    listed = setting("dataset.targets", f"[{', '.join(map(as_written, NAMES))}]")
    kinds = ", ".join(f"{as_written(name)}: number" for name in NAMES)
    columns = setting("dataset.columns", f"{{{kinds}}}")
    one = kind_setting("source", "a, b", "text")
    assert shlex.split(one) == ['source.columns={"a, b": text}']
    found = dataset(*shlex.split(listed), *shlex.split(columns))
    assert (found["targets"], list(found["columns"])) == (NAMES, NAMES)


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("dataset.targets=[Größe,Preis (EUR),a=b]", "targets", ["Größe", "Preis (EUR)", "a=b"]),
        (
            "dataset.columns={Größe: number, p (x): text}",
            "columns",
            {"Größe": "number", "p (x)": "text"},
        ),
        (
            "dataset.targets={s: {column: Größe, kind: ordinal}}",
            "targets",
            {"s": {"column": "Größe", "kind": "ordinal"}},
        ),
        ("dataset.tasks.Größe.metric=f1", "tasks", {"Größe": {"metric": "f1"}}),
        ("dataset.group_by=Teil (1)", "group_by", "Teil (1)"),
        ("dataset.path=/home/jürgen/a b.csv", "path", "/home/jürgen/a b.csv"),
    ],
)
def test_without_quotes(override: str, key: str, value: object) -> None:
    assert dataset(override)[key] == value


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("dataset.targets=[a,(b]", ["a", "(b"]),
        ("dataset.targets=['Größe]", ["Größe"]),
        ("dataset.columns={a, b: number}", {"a, b": "number"}),
    ],
)
def test_what_can_not_be_read_is_printed_in_the_form_that_can(
    override: str, expected: object
) -> None:
    (problem,) = find_names(make_loader(None), [*TABLE, override]).problems
    printed = shlex.split(problem.message.partition("special characters: ")[2])
    key = override.partition("=")[0].removeprefix("dataset.")
    assert dataset(*printed)[key] == expected


def test_names_in_keys_are_told_apart_and_shown_without_escapes() -> None:
    two = ["dataset.tasks.Größe.metric=f1", "dataset.tasks.Höhe.metric=f1"]
    names = find_names(make_loader(None), [*TABLE, *two])
    assert not names.problems
    assert set(names.preview().dataset.tasks) == {"Größe", "Höhe"}
    (problem,) = find_names(make_loader(None), [*TABLE, *two, two[0]]).problems
    assert "given 2 times" in problem.message
    assert "%u" not in str(problem)


def test_hydras_account_of_a_config_takes_them_too() -> None:
    assert info("defaults", [*TABLE, "dataset.targets=[Größe]"], None) == 0
