"""Options are named as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from jlrun.config.chosen_options import option_name
from jlrun.config.options import package_folder, read_groups

GROUPS = ("balance", "dataset", "fusion", "heads", "optimizer", "scheduler", "sharing", "weighting")
OPTIONS = [
    (group, option)
    for group, options in read_groups([package_folder()]).items()
    for option in options.values()
    if group in GROUPS and "_target_" in option.path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=lambda x: getattr(x, "name", x))
def test_every_option_is_found_by_its_values(group: str, option: object) -> None:
    path = getattr(option, "path")  # noqa: B009
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    if "_target_" in values:
        assert option_name(group, values) == path.stem


def test_a_class_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert option_name("weighting", {"_target_": "mine.MyWeighting"}) == "MyWeighting"
    (tmp_path / "conf/weighting").mkdir(parents=True)
    (tmp_path / "conf/weighting/bad.yaml").write_text("_target_: [", encoding="utf-8")
    text = "_target_: mine.MyWeighting\nstrength: 2\n"
    (tmp_path / "conf/weighting/strong.yaml").write_text(text, encoding="utf-8")
    assert option_name("weighting", {"_target_": "mine.MyWeighting"}) == "strong"
