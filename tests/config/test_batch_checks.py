"""Terms that compare rows need several of them at once."""

from __future__ import annotations

import re

import pytest

from jlrun.config import checked, trust
from jlrun.config.options import package_folder, read_groups
from jlrun.errors import UserError

COMPARE = {
    *("simclr", "supcon", "barlow", "vicreg", "lejepa"),
    *("clip", "siglip", "cmc", "vicreg_modalities"),
    *("mmd", "jan", "coral", "coral_sources"),
}


def test_they_are_known() -> None:
    found = set()
    for name, option in read_groups([package_folder()])["terms"].items():
        target = re.search(r"_target_: (\S+)", option.path.read_text(encoding="utf-8"))
        if target and getattr(trust.find(target[1]), "compares_rows", False):
            found.add(name)
    assert found == COMPARE


@pytest.mark.parametrize(
    ("overrides", "where"),
    [
        (["terms=[simclr]", "batch_size=1"], "batch_size: 1 leaves simclr"),
        (["mode=multimodal", "terms=[clip]", "batch_size=1"], "batch_size: 1 leaves clip"),
        (
            ["strategy=adapt", "terms=[mmd,coral]", "batch_size=1"],
            "batch_size: 1 leaves mmd, coral",
        ),
        (
            ["mode=multitask", "terms=[vicreg]", "batch_size=4", "engine.accumulate=4"],
            "engine.accumulate: 4 micro-batches have one row each; vicreg",
        ),
    ],
)
def test_a_batch_of_one_row_is_refused(overrides: list[str], where: str) -> None:
    with pytest.raises(UserError) as caught:
        checked(overrides)
    assert where in str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ["terms=[simclr]", "batch_size=2"],
        ["mode=multitask", "terms=[l2]", "batch_size=1"],
        ["mode=multitask", "terms=[simclr]", "batch_size=4", "engine.accumulate=2"],
    ],
)
def test_other_batches_are_not(overrides: list[str]) -> None:
    checked(overrides)
