"""Parts of dates, against those of the standard library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from jlrun.data.specs import DateColumn
from jlrun.data.tables.date_parts import PARTS, learn_dates, part_names, parts_of

FIRST = datetime(1968, 2, 27, 6, tzinfo=UTC)
DATES = [FIRST + timedelta(days=37 * i, minutes=45 * i) for i in range(60)]
SECONDS = np.array([np.nan, *(date.timestamp() for date in DATES)])


def test_parts_are_those_of_the_calendar() -> None:
    date = learn_dates("sold", [SECONDS[30:], SECONDS[:30]])
    assert date == DateColumn("sold", FIRST.timestamp(), PARTS)
    found = parts_of(date, SECONDS)
    assert np.isnan(found[0]).all()
    for row, day in zip(found[1:], DATES, strict=True):
        midnight = day.replace(hour=0, minute=0)
        hours = (day - midnight).total_seconds() / 3600
        year = 2 * np.pi * (day.timetuple().tm_yday - 1) / 365.2425
        week, clock = 2 * np.pi * day.weekday() / 7, 2 * np.pi * hours / 24
        turns = [f(turn) for turn in (year, week, clock) for f in (np.sin, np.cos)]
        days = (day - FIRST).total_seconds() / 86_400
        expected = [days, day.year, day.month, day.weekday(), hours, *turns]
        np.testing.assert_allclose(row, expected, atol=1e-8)


def test_parts_that_do_not_vary_are_left_out() -> None:
    mondays = np.array([datetime(2024, 1, 1 + 7 * i, tzinfo=UTC).timestamp() for i in range(4)])
    date = learn_dates("day", [mondays])
    assert date.parts == ("days", "year sine", "year cosine")
    assert part_names(date)[0] == "day: days"
    assert learn_dates("day", [np.full(3, np.nan)]).parts == ("days",)
