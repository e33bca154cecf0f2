"""Paths of a machine in what is given to others."""

from __future__ import annotations

import pytest

from jlrun.runs.local_paths import cut, shared_overrides, without_local_paths


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/jane/My Data/rows.csv", "rows.csv"),
        ("~/rows.csv", "rows.csv"),
        ("../acme/rows.csv", "rows.csv"),
        (r"C:\Users\jane\rows.csv", "rows.csv"),
        ("data/rows.csv", "data/rows.csv"),
        ("can't read /home/jane/rows.csv: empty", "can't read …/rows.csv: empty"),
        ("{path: /home/jane/rows.csv}", "{path: …/rows.csv}"),
        ("and/or 3/4 https://example.org/a/b", "and/or 3/4 https://example.org/a/b"),
        ("val/mean_score", "val/mean_score"),
        ("/", "/"),
    ],
)
def test_local_paths_become_names(text: str, expected: str) -> None:
    assert cut(text) == expected


def test_overrides_lose_paths_and_those_of_hydra() -> None:
    given = ["mode=multitask", "hydra.run.dir=/x/y", "+dataset.path='/x/my y/z.csv'", "seed=1"]
    assert shared_overrides(given) == ["mode=multitask", "+dataset.path=z.csv", "seed=1"]


def test_nested_values_are_kept_but_for_paths() -> None:
    given = {"a": ["/x/y", 1, None, {"b": "/x/z"}]}
    assert without_local_paths(given) == {"a": ["y", 1, None, {"b": "z"}]}
