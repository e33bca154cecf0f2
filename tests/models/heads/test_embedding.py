"""The head that scores classes by their vectors."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from jlrun.errors import UserError
from jlrun.models.heads import Embedding

TABLE = {"a": [1.0, 0.0, 2.0], "b": [0.0, 3.0, 1.0], "c": [1.0, 1.0, 1.0]}


def test_the_product_by_hand() -> None:
    head = Embedding(
        2, 3, *"abc", attributes=TABLE, normalize="none", cosine=False, scale=2.0, learn_scale=False
    )
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]]))
    # f = (3, 1): W f = (3, 1, 2); its products with the rows of the table are 7, 5 and 6
    torch.testing.assert_close(head(torch.tensor([[3.0, 1.0]])), torch.tensor([[14.0, 10.0, 12.0]]))


def test_the_cosine_by_hand() -> None:
    head, x = Embedding(4, 3, *"abc", attributes=TABLE, normalize="none"), torch.randn(5, 4)
    vectors = torch.tensor(list(TABLE.values()))
    embedded = x @ head.weight.T
    expected = torch.stack([16 * F.cosine_similarity(embedded, v[None]) for v in vectors], dim=1)
    torch.testing.assert_close(head(x), expected)


def test_centred_vectors_have_mean_0_before_their_length_is_1() -> None:
    vectors = torch.tensor(list(TABLE.values()))
    head = Embedding(4, 3, *"abc", attributes=TABLE)
    torch.testing.assert_close(head.class_vectors, F.normalize(vectors - vectors.mean(dim=0)))


def test_a_binary_task_has_the_logit_of_the_difference() -> None:
    both = Embedding(
        4, 2, *"ab", attributes=TABLE, normalize="none", cosine=False, learn_scale=False
    )
    one = Embedding(
        4, 1, *"ab", attributes=TABLE, normalize="none", cosine=False, learn_scale=False
    )
    one.load_state_dict(both.state_dict() | {"class_vectors": one.class_vectors})
    x = torch.randn(3, 4)
    torch.testing.assert_close(one(x)[:, 0], both(x)[:, 1] - both(x)[:, 0])


def test_class_vectors_are_saved_but_not_trained() -> None:
    head = Embedding(4, 3, *"abc", attributes=TABLE, learn_scale=False)
    assert "class_vectors" in head.state_dict()
    assert [name for name, p in head.named_parameters() if p.requires_grad] == ["weight"]


def test_a_map_learned_from_some_classes_serves_others() -> None:
    # Rows are W⁺ φ(c) with noise: from c0 to c6 alone, c7 and c8 are recognised.
    torch.manual_seed(0)
    vectors = torch.randn(9, 4)
    table = {f"c{i}": row.tolist() for i, row in enumerate(vectors)}
    labels = torch.arange(9).repeat(20)
    x = F.normalize(vectors)[labels] @ torch.randn(4, 6) + 0.02 * torch.randn(180, 6)
    head = Embedding(6, 9, *table, attributes=table)
    seen = labels < 7
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        F.cross_entropy(head(x[seen])[:, :7], labels[seen]).backward()
        optimizer.step()
    predicted = head(x[~seen])[:, 7:].argmax(dim=1) + 7
    assert (predicted == labels[~seen]).float().mean() > 0.9


@pytest.mark.parametrize(("outputs", "classes"), [(1, ()), (4, ()), (3, ("a", "b"))])
def test_tasks_without_a_vector_for_each_output_are_told(
    outputs: int, classes: tuple[str, ...]
) -> None:
    with pytest.raises(UserError, match=rf"heads: .* {len(classes)} classes and {outputs} outputs"):
        Embedding(4, outputs, *classes, attributes=TABLE)


def test_maps_and_equal_vectors_are_told() -> None:
    with pytest.raises(UserError, match="yields maps"):
        Embedding(5, 3, *"abc", attributes=TABLE)(torch.zeros(2, 5, 3, 4))
    same = {"a": [1.0, 2.0], "b": [2.0, 4.0], "c": [0.0, 1.0]}
    with pytest.raises(UserError, match=r"heads\.attributes: 'a' and 'b' have the same vector"):
        Embedding(4, 3, *"abc", attributes=same, normalize="l2")
