"""Records of delimited text, wherever the pieces of a file end."""

from __future__ import annotations

import csv
import io
import random

import pytest

from jlrun.data.tables.files import framing
from jlrun.data.tables.files.framing import Framing


def framed(text: str, width: int) -> tuple[list[str], list[int], list[tuple[int, str]]]:
    """Return the records of a text, their lines, and the bad lines with reasons."""
    records, lines, bad = [], list[int](), []
    for piece in Framing(",", width).read(io.StringIO(text, newline=""), b"", 1):
        records += [piece[i].decode() for i in range(len(piece.places))]
        lines += piece.places.tolist()
        bad += [(row.place, row.reason) for row in piece.bad]
        kept = b"".join(piece[i] for i in range(len(piece.places)))
        assert piece.content.split() == kept.split()
    return records, lines, sorted(bad)


@pytest.fixture(params=[1, 7, 40, 1 << 20])
def _pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "_AT_ONCE", request.param)


@pytest.mark.usefixtures("_pieces")
def test_records_of_random_texts_are_those_of_the_standard_library() -> None:
    draw = random.Random(0)
    for _ in range(50):
        sink = io.StringIO()
        end = draw.choice(["\n", "\r\n"])  # the writer quotes cells with its characters alone
        writer = csv.writer(sink, lineterminator=end)
        for _ in range(draw.randint(1, 12)):
            writer.writerow(["w" + "".join(draw.choices('aé," ' + end, k=5)) for _ in range(3)])
        text = sink.getvalue()
        records, lines, bad = framed(text, 3)
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        expected, first = list[list[str]](), [1]
        for row in reader:
            expected.append(row)
            first.append(reader.line_num + 1)
        assert not bad
        assert [next(csv.reader(io.StringIO(r, newline=""))) for r in records] == expected
        assert lines == first[:-1]


@pytest.mark.usefixtures("_pieces")
@pytest.mark.parametrize(
    ("text", "lines", "bad"),
    [
        ('1,"open\n2,x\n', [2], [(1, "broken quotes")]),
        ('1,"x" y\n2,x\n', [2], [(1, "broken quotes")]),
        ('1,"a\nb,c",3\n2,x\n', [3], [(1, "wrong number of cells"), (2, "wrong number of cells")]),
        ('1,"a\r\nb"\r\n\r\n2,x', [1, 4], []),
        ('1,"a",,""\n2,5" x\n', [1, 2], []),
        (
            '1,"\udce9\na"\n2,\udce9\n3,x\n',
            [4],
            [(1, "not decodable text"), (3, "not decodable text")],
        ),
    ],
)
def test_bad_lines(text: str, lines: list[int], bad: list[tuple[int, str]]) -> None:
    _, found, wrong = framed(text, 2)
    assert found == lines
    assert wrong == bad


def test_a_quote_that_closes_too_far_away_was_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "_LONGEST_RECORD", 100)
    text = '1,"open\n' + "2,x\n" * 50 + '3,y"\n'
    _, lines, bad = framed(text, 2)
    assert lines == [*range(2, 53)]
    assert bad == [(1, "broken quotes")]


def test_a_record_that_is_cut_to_its_width() -> None:
    two = Framing(",", 2)
    assert two.fitted(b'1,"2",,""\r\n') == b'1,"2"'
    assert two.fitted(b"1,2,3,\n") is None
    assert two.wrong_width(b"1,2,3,,\n") == "3 cells, and the header has 2"
    assert Framing(",", 1).fitted(b",\n") == b'""'  # an empty line would be no record
