"""Class vectors from names, files and tables, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from jlrun.errors import UserError
from jlrun.models.class_vectors import check_distinct, class_vectors, normalized

WHERE = "zero_shot.attributes"
CLASSES = ("red circle", "blue circle", "blue square")


def test_seven_segments_are_those_of_a_display() -> None:
    found = class_vectors("seven_segment", ("8", "1", "7"), WHERE)
    assert found.attributes == tuple(f"segment {s}" for s in "abcdefg")
    assert found.values.tolist() == [[1] * 7, [0, 1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0]]
    # A display lights 49 segments for the ten digits (6, 2, 5, 5, 4, 5, 6, 3, 7, 6).
    lit = class_vectors("seven_segment", tuple("0123456789"), WHERE).values.sum(dim=1)
    assert lit.tolist() == [6, 2, 5, 5, 4, 5, 6, 3, 7, 6]


def test_words_of_names() -> None:
    found = class_vectors("words", CLASSES, WHERE)
    assert found.attributes == ("red", "circle", "blue", "square")
    assert found.values.tolist() == [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    other = class_vectors("words", ("redCircle", "BLUE_circle", "Blue-Square"), WHERE)
    assert other.attributes == found.attributes
    assert torch.equal(other.values, found.values)


def test_words_that_all_names_have_are_left_out() -> None:
    assert class_vectors("words", ("a dog", "a cat"), WHERE).attributes == ("dog", "cat")
    with pytest.raises(UserError, match="the same words"):
        class_vectors("words", ("a dog", "dog a"), WHERE)


YAMLS = {
    "numbers": "cat: [1, 0.5]\ndog: [0, 2]\n7: [1, 1]\n",
    "named": "cat: {fur: 1, tail: 0.5}\ndog: {tail: 2, fur: 0}\n7: {fur: 1, tail: 1}\n",
    "csv": "class,fur,tail\ncat,1,0.5\ndog,0,2\n7,1,1\n",
}


@pytest.mark.parametrize("form", YAMLS)
def test_files_by_name_of_the_class(form: str, tmp_path: Path) -> None:
    file = tmp_path / ("table.csv" if form == "csv" else "table.yaml")
    file.write_text(YAMLS[form], encoding="utf-8")
    found = class_vectors(str(file), ("7", "cat"), WHERE)
    assert found.values.tolist() == [[1, 1], [1, 0.5]]
    assert found.attributes == (("0", "1") if form == "numbers" else ("fur", "tail"))


def test_lists_of_what_classes_have(tmp_path: Path) -> None:
    file = tmp_path / "table.yaml"
    file.write_text("cat: [fur, tail]\nno: []\nsnake: [tail]\n")
    found = class_vectors(str(file), ("snake", "cat", "no"), WHERE)
    assert found.attributes == ("fur", "tail")
    assert found.values.tolist() == [[0, 1], [1, 1], [0, 0]]


def test_arrays_of_text_embeddings(tmp_path: Path) -> None:
    values = np.array([[0.1, 2.0], [0.3, -1.0], [5.0, 0.0]], dtype=np.float32)
    np.save(tmp_path / "rows.npy", values)
    found = class_vectors(str(tmp_path / "rows.npy"), CLASSES, WHERE)
    assert np.array_equal(found.values.numpy(), values)
    np.savez(tmp_path / "named.npz", classes=np.array(CLASSES[::-1]), vectors=values)
    found = class_vectors(str(tmp_path / "named.npz"), CLASSES, WHERE)
    assert np.array_equal(found.values.numpy(), values[::-1])


def test_a_table_in_the_config() -> None:
    found = class_vectors({"a": [1, 2], "b": [3, 1], "c": [0, 0]}, ("c", "a"), WHERE)
    assert found.values.tolist() == [[0, 0], [1, 2]]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"a": [1], "b": [2]}, "the table has no vector for c"),
        ({"a": [1, 2], "b": [1], "c": [1, 3]}, "'b' has 1 numbers, others 2"),
        ({"a": [1, 5], "b": [2, 5], "c": [3, 5]}, "the same in all classes, and so of no use: 1"),
        ({"a": {"x": 1}, "b": {"y": 1}, "c": {"x": 2}}, "'a' lacks the attribute 'y'"),
        ({"a": [1], "b": ["?"], "c": [2]}, "'b' has '\\?', which is not a finite number"),
        ({"a": [1], "b": [float("inf")], "c": [2]}, "'b' has inf"),
        ({"a": [1], "b": 2, "c": [2]}, "give each class a list of numbers"),
        ({"a": [], "b": [], "c": []}, "the table has no attributes"),
        ({}, "the table is empty"),
        ({"a": [1]}, "at least two classes are needed, found 1"),
    ],
)
def test_wrong_tables_are_told(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"{WHERE}: .*{message}"):
        class_vectors(table, ("a", "b", "c"), WHERE)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.yaml", "a: [1]\nb: [2]\na: [3]\n", "the class 'a' twice"),
        ("t.yaml", "- a\n- b\n", "is not a table"),
        ("t.yaml", "a: [1\n", "is not valid YAML"),
        ("t.csv", "class,x\na,1\nb,2\na,3\n", "the class 'a' twice"),
        ("t.csv", "class,x,x\na,1,2\nb,2,3\n", "the attribute 'x' twice"),
        ("t.csv", "class,x\na,1,2\n", "row 2 has 3 cells, the header 2"),
        ("t.csv", "class,x\na,one\nb,2\n", "'a' has 'one'"),
        ("t.csv", "class\n", "expected a header"),
        ("t.npy", "none", "expected an array of numbers"),
        ("t.npz", "none", "expected 'classes' and 'vectors'"),
    ],
)
def test_wrong_files_are_told(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=f"{WHERE}: .*{message}"):
        class_vectors(str(tmp_path / name), ("a", "b"), WHERE)


def test_arrays_of_another_shape_are_told(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.zeros((4, 2)))
    with pytest.raises(
        UserError, match=r"expected shape \(3 classes, attributes\), found \(4, 2\)"
    ):
        class_vectors(str(tmp_path / "t.npy"), CLASSES, WHERE)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("wrds", "neither words, seven_segment, text:MODEL nor a file .*Did you mean 'words'"),
        ("no/such.yaml", "there is no file 'no/such.yaml'"),
    ],
)
def test_wrong_sources_are_told(source: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        class_vectors(source, CLASSES, WHERE)


def test_normalizations() -> None:
    values = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 2.0]])
    assert torch.equal(normalized(values, "none"), values)
    torch.testing.assert_close(
        normalized(values, "l2"), torch.tensor([[0.6, 0.8], [0.0, 0.0], [0.0, 1.0]])
    )
    # the mean is (1, 2)
    expected = torch.tensor([[1 / 2**0.5, 1 / 2**0.5], [-1 / 5**0.5, -2 / 5**0.5], [-1.0, 0.0]])
    torch.testing.assert_close(normalized(values, "centred"), expected)


def test_equal_vectors_are_told() -> None:
    values = torch.tensor([[1.0, 2.0], [0.0, 1.0], [2.0, 4.0]])
    check_distinct(values, ("a", "b", "c"), WHERE)
    with pytest.raises(UserError, match="'a' and 'c' have the same vector"):
        check_distinct(normalized(values, "l2"), ("a", "b", "c"), WHERE)
