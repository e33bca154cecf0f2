"""Names that look like numbers are found, or the quoting is said that works."""

from __future__ import annotations

import math
import shlex

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf._utils import get_yaml_loader

from jlrun.config.parsing import quoted_names
from jlrun.data.written_names import Name, find_name, readings
from jlrun.errors import UserError

LOOKALIKES = (
    *("1_2", "10_19", "1_000", "010", "007", "08", "0x1F", "0b101", "1:30", "12:30:45", "+5", "-3"),
    *("1e5", "1E5", "1e-3", "1.50", "0.10", "1.", ".5", "1_0.5", "0", "12", "-0"),
    *("true", "True", "FALSE", "yes", "No", "on", "off", "null", "Null", "~", "nan", "inf", "-inf"),
)


@pytest.mark.parametrize("name", LOOKALIKES)
def test_what_hydra_and_yaml_make_of_a_name_is_among_its_readings(name: str) -> None:
    by_hydra = (
        OverridesParser.create().parse_overrides([f"k=[{name}]"])[0].value()
        if (name != "~" and ":" not in name)
        else [name]
    )
    assert isinstance(by_hydra, list)
    for read in (by_hydra[0], yaml.load(name, Loader=get_yaml_loader())):
        if isinstance(read, str):
            assert read == name
            continue
        same = [v for v in readings(name) if type(v) is type(read) and repr(v) == repr(read)]
        assert same, (name, read)
        assert find_name(read, ["other", name], "k") == 1


def test_a_name_is_no_reading_of_itself() -> None:
    assert list(readings("red")) == list(readings("2020-01-01")) == []


AGES = ["0_9", "10_19", "20_29"]
CODES = [f"{i}_{j}" for i in range(1, 4) for j in range(1, 6)]  # 15 of them


@pytest.mark.parametrize(
    ("given", "names", "expected"),
    [
        ("10_19", AGES, 1),
        (1019, AGES, 1),  # no position
        (2, AGES, 2),  # a position, of no name that is 2
        (3, ["a", "b", "c", "3"], 3),  # names go before positions
        (9, AGES, 0),
        (100000.0, ["1e5", "x"], 0),
        (True, ["no", "true"], 1),
        (None, ["null", "x"], 0),
        (8, ["010", "x"], 0),
        (math.nan, ["nan", "x"], 0),
        (7, AGES, None),
        (True, AGES, None),  # which is no position, although Python takes it for 1
    ],
)
def test_names_then_readings_then_positions(
    given: Name, names: list[str], expected: int | None
) -> None:
    assert find_name(given, names, "dataset.classes", positions=True) == expected


def test_what_may_be_a_name_or_a_position_is_refused_with_a_quoting_that_works() -> None:
    with pytest.raises(UserError) as caught:
        find_name(12, CODES, "dataset.classes", positions=True)
    message = str(caught.value)
    assert "12 may be the class '1_2' or the one at position 12, '3_3'" in message
    (override,) = shlex.split(message.rpartition(": ")[2])
    (parsed,) = OverridesParser.create().parse_overrides([override])
    assert parsed.key_or_group == "dataset.classes"
    value = parsed.value()
    assert isinstance(value, list)
    assert [find_name(str(v), CODES, "k", positions=True) for v in value] == [1]


def test_two_names_of_one_reading_are_refused() -> None:
    with pytest.raises(UserError, match=r"12 may be '1_2' or '12'"):
        find_name(12, ["1_2", "12"], "dataset.targets")
    assert find_name("12", ["1_2", "12"], "dataset.targets") == 1  # quoted


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("dataset.classes=[1_2,1_1]", "dataset.classes=['1_2','1_1']"),
        ("dataset.classes=[3,x,1.0,true,null]", "dataset.classes=[3,x,'1.0','true','null']"),
        ('dataset.classes=[ 1e5 , "1_2" ]', "dataset.classes=[ '1e5' , \"1_2\" ]"),
        ("dataset.classes=[1_2],[1_3]", "dataset.classes=['1_2'],['1_3']"),
        ("dataset.classes=choice([1_2],[1_3])", "dataset.classes=choice(['1_2'],['1_3'])"),
        ("source.classes=null", "source.classes=null"),
        ("+target.classes=[1_2]", "+target.classes=['1_2']"),
        ("zero_shot.unseen=3", "zero_shot.unseen=3"),
        ("zero_shot.unseen=[1_2]", "zero_shot.unseen=['1_2']"),
        ("tasks=[1_2]", "tasks=['1_2']"),
        ("dataset.targets=[1_2]", "dataset.targets=['1_2']"),
        ("dataset.targets={a: regression}", "dataset.targets={a: regression}"),
        ("dataset.tasks={a:{label_smoothing:0.1}}", "dataset.tasks={a:{label_smoothing:0.1}}"),
        ("dataset.split_column=2020", "dataset.split_column='2020'"),
        ("dataset.reading.missing=[-9.5,NA]", "dataset.reading.missing=['-9.5',NA]"),
        ("dataset.classes=[Bär,Öl]", 'dataset.classes=["Bär","Öl"]'),
        (
            "dataset.classes=[über alles,blue sky,R&B]",
            'dataset.classes=["über alles",blue sky,"R&B"]',
        ),
        (r"dataset.classes=[a\,ä]", r"dataset.classes=[a\,'ä']"),
        ("dataset.reading.decimal=,", "dataset.reading.decimal=','"),
        ("+source.reading.thousands='", '+source.reading.thousands="\'"'),
        ("dataset.reading.delimiter=;", "dataset.reading.delimiter=';'"),
        ("dataset.reading.decimal=','", "dataset.reading.decimal=','"),
        ("dataset.reading.delimiter=comma", "dataset.reading.delimiter=comma"),
        ("dataset.group_by=größe", 'dataset.group_by="größe"'),
        ("optimizer.lr=1e-3", "optimizer.lr=1e-3"),
        ("missing.rates=[0.1,0.2]", "missing.rates=[0.1,0.2]"),
        ("dataset.classes=${x}", "dataset.classes=${x}"),
    ],
)
def test_overrides_of_names_are_quoted(given: str, expected: str) -> None:
    assert quoted_names([given]) == [expected]
