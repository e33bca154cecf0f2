"""The table of what ranks exchange is what the code says now."""

from __future__ import annotations

from benchmarks import synchronised


def test_the_table_is_current() -> None:
    page = synchronised.PAGE.read_text(encoding="utf-8")
    assert page == synchronised.with_table(page), "run: python -m benchmarks.synchronised"


def test_every_option_of_a_group_is_in_it() -> None:
    found = {(group, option) for group, option, _ in synchronised.rows()}
    folder = synchronised.ROOT / "conf"
    for group in ("weighting", "terms", "balance", "sharing"):
        files = {file.stem for file in (folder / group).glob("[!_]*.yaml")}
        assert {option for g, option in found if g == group} == files


def test_what_classes_say() -> None:
    table = {(group, option): exchanged for group, option, exchanged in synchronised.rows()}
    assert table["weighting", "equal"] == "T losses"
    assert table["weighting", "pcgrad"] == "T losses; T² (`features`) or T N (`parameters`)"
    graddrop = "T losses; T D B (`features`) or T N (`parameters`)"
    assert table["weighting", "graddrop"] == graddrop
    assert table["balance", "none"] == "nothing"
    assert table["balance", "mmpareto"].endswith("gradients of encoders")
    assert table["terms", "simclr"] == synchronised.VIEWS
