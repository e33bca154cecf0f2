"""Arms of a study, and what is compared with what."""

from dataclasses import replace
from urllib.parse import unquote

from jlrun.runs.study.arms import Subject, arms_of
from jlrun.runs.study.comparisons import comparisons
from jlrun.runs.study.settings import StudySettings


def _subject(tasks, modalities):
    overrides = ("dataset=table", "dataset.path=t.csv", "+backbone.image.width=3")
    return Subject(tasks, modalities, overrides, 5, 32, "null", 1000)


def _arms(tasks=("a", "b"), modalities=("image",), **settings):
    return {
        arm.name: arm for arm in arms_of(_subject(tasks, modalities), StudySettings(**settings))
    }


def test_every_fit_has_the_same_budget():
    for arm in _arms(("a", "b", "c"), ("image", "text"), pretraining=("clip",)).values():
        assert {"epochs=5", "batch_size=32", "patience=null", "baselines=false"} <= {*arm.overrides}


def test_arms_of_three_tasks_and_two_modalities():
    names = {*_arms(("a", "b", "c"), ("image", "text"), weightings=("famo",), shares=(0.1,))}
    assert {"alone/a", "joint/equal", "joint/famo", "modality/text", "pair/a+b"} <= names
    assert {"transfer/a-b", "transfer/b-a", "others/a", "few/a-0.1-scratch"} <= names
    assert len(names) == 3 + 1 + 2 + 1 + 3 + 6 + 3 * 3


def test_one_task_leaves_what_needs_no_other():
    assert {*_arms(("a",), ("image", "text"))} == {"alone/a", "modality/image", "modality/text"}


def test_questions_choose_arms():
    found = _arms(("a", "b", "c"), questions=("joint",))
    assert {*found} == {"alone/a", "alone/b", "alone/c", "joint/equal"}


def test_a_transfer_names_the_data_as_its_target():
    arm = _arms()["transfer/a-b"]
    expected = {"mode=transfer", "dataset@target=table", "target.path=t.csv", "tasks=['b']"}
    assert expected <= {*arm.overrides}
    assert "+backbone.image.width=3" in arm.overrides
    assert arm.source == "alone/a"


def test_one_modality_is_left_without_what_is_about_others():
    overrides = ("dataset=x", "fusion=concat", "backbone/text=gru", "+backbone.image_a.width=3")
    subject = replace(_subject(("a",), ("image_a", "text")), overrides=overrides)
    found = {arm.name: arm.overrides for arm in arms_of(subject, StudySettings())}
    assert set(overrides) <= {*found["alone/a"]}
    assert set(overrides) & {*found["modality/image_a"]} == {"dataset=x", overrides[3]}
    assert set(overrides) & {*found["modality/text"]} == {"dataset=x", "backbone/text=gru"}


def test_few_rows_begin_with_all_other_tasks():
    two, three = _arms(), _arms(("a", "b", "c"))
    assert two["few/a-0.2-after"].source == "alone/b"
    assert three["few/a-0.2-after"].source == "others/a"
    assert "target.limit=200" in three["few/a-0.2-after"].overrides
    assert "dataset.limit=200" in three["few/a-0.2-scratch"].overrides


def test_names_of_tasks_may_be_anything():
    found = _arms(("price, $", "it's"))
    assert "tasks=['price, $','it\\'s']" in found["joint/equal"].overrides
    assert all("/" not in name.partition("/")[2] for name in found)
    assert len(_arms(("a b", "a_b"))) == len(_arms())
    strange = ("€", " ac", "a-b", "a%2db")
    shown = {unquote(name) for name in _arms(strange, questions=("joint",))}
    assert shown == {"joint/equal", *(f"alone/{task}" for task in strange)}


def test_comparisons_of_two_tasks_are_made_once():
    subject = _subject(("a", "b"), ("image", "text"))
    asked = list(comparisons(subject, arms_of(subject, StudySettings())))
    seen = [(each.arm, each.against, each.task) for each in asked]
    assert len(seen) == len(set(seen))
    assert ("joint/equal", "alone/a", "a") in seen
    assert ("joint/equal", "modality/text", "b") in seen
    assert ("ensemble", "joint/equal", "b") in seen
