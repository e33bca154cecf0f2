"""Which ranks a collective waits for."""

from __future__ import annotations

from jlrun.ranks.hang import Place, hang_line


def place(call: str | None, number: int, seconds: float | None = None, code: str = "") -> Place:
    return Place(call, number, seconds, code)


def test_ranks_that_have_not_arrived_are_named() -> None:
    places = {
        0: place("all_reduce", 12, 61.0, "a.py:3 (step)"),
        1: place(None, 11, None, "b.py:7 (read)"),
        2: place("all_reduce", 12, 60.5),
    }
    assert hang_line(places, 4, 60) == (
        "all_reduce number 12 at a.py:3 (step) has waited 60 s for rank 1, which is at "
        "b.py:7 (read), rank 3, which does not answer"
    )


def test_ranks_in_different_collectives() -> None:
    line = hang_line({0: place("all_gather", 5, 70), 1: place("all_reduce", 5, 70)}, 2, 60)
    assert line is not None
    assert line.endswith("has waited 60 s for rank 1, which is in all_reduce number 5")


def test_a_rank_that_waits_for_an_earlier_collective_is_missing() -> None:
    line = hang_line({0: place("all_reduce", 6, 61), 1: place("all_reduce", 5, 62)}, 2, 60)
    assert line is not None
    assert "all_reduce number 6 has waited 60 s for rank 1, which is in all_reduce" in line


def test_all_ranks_wait_where_the_network_fails() -> None:
    line = hang_line({0: place("all_reduce", 5, 70), 1: place("all_reduce", 5, 61)}, 2, 60)
    assert (
        line == "all ranks have waited 60 s in all_reduce number 5: the network between them fails"
    )


def test_nobody_waits_any_more() -> None:
    assert hang_line({0: place(None, 6), 1: place("all_reduce", 6, 1.0)}, 2, 60) is None
