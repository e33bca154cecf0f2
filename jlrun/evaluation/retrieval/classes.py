"""Classifiers in a shared space, trained on rows or built from prompts with class names."""

# N, M rows;  K classes;  P width of the space

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

# K classes;  P width of the space
from jlrun.data.batch import Batch
from jlrun.data.reading.texts import tokenize
from jlrun.data.specs import TextSpec
from jlrun.engine import Engine
from jlrun.evaluation.probes import knn_accuracy, linear_accuracy
from jlrun.evaluation.retrieval.embedded import Embedded, project
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.cross_modal.base import feature_widths

Accuracies = dict[str, dict[str, float]]


def modality_gap(rows: Embedded, one: str, other: str) -> float:
    """Return the distance of the centroids of two modalities, from 0 to 2.

    Liang et al., "Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive
    Representation Learning", NeurIPS 2022.
    """
    means = [rows.vectors[m][rows.present[m]].double().mean(dim=0) for m in (one, other)]
    return float((means[0] - means[1]).norm())


def by_class_vectors(
    vectors: Tensor, labels: Tensor, classes: Tensor, unseen: Sequence[int] = ()
) -> dict[str, float]:
    """Return the accuracy of taking the class whose vector is nearest.

    With unseen classes also that on rows of these, on rows of the others, and on rows of unseen
    classes if no other class could be chosen.

    Args:
        vectors: ``(N, P)``, N at least 1.
        labels: int64 ``(N,)``.
        classes: ``(K, P)``.
        unseen: classes that nothing was trained on.
    """
    cosine = vectors @ classes.T
    right = (cosine.argmax(dim=1) == labels).double()
    scores = {"accuracy": float(right.mean()), "chance": 1 / len(classes)}
    of_unseen = torch.isin(labels, torch.tensor([*unseen], dtype=labels.dtype))
    if bool(of_unseen.any()):
        among = torch.full_like(cosine, -torch.inf)
        among[:, [*unseen]] = cosine[:, [*unseen]]
        found = (among.argmax(dim=1) == labels).double()
        scores |= {
            "unseen_accuracy": float(right[of_unseen].mean()),
            "among_unseen": float(found[of_unseen].mean()),
            "chance_among_unseen": 1 / len(unseen),
        }
        if not bool(of_unseen.all()):
            scores["seen_accuracy"] = float(right[~of_unseen].mean())
    return scores


def centroid_accuracies(train: Embedded, test: Embedded, column: str) -> Accuracies:
    """Return modality of the classes -> that of the test rows -> accuracy by nearest centroid.

    A class is where the mean of its training rows in one modality is; test rows of classes without
    training rows there are left out.
    """
    found: Accuracies = {}
    for one in train.modalities:
        centroids, known = _centroids(*train.labelled(one, column))
        for other in test.modalities:
            vectors, labels = test.labelled(other, column)
            rows = torch.isin(labels, known)
            if len(known) > 1 and bool(rows.any()):
                right = known[(vectors[rows] @ centroids.T).argmax(dim=1)] == labels[rows]
                found.setdefault(one, {})[other] = float(right.double().mean())
    return found


def linear_accuracies(train: Embedded, test: Embedded, column: str) -> Accuracies:
    """Return modality it is trained on -> that it is tested on -> accuracy of a linear classifier.

    On one and the same it is the linear probe; on two, transfer through the space. The vectors of
    each modality are standardised by its own training rows, which closes the gap between them.
    """
    found: Accuracies = {}
    for one in train.modalities:
        x, y = train.labelled(one, column)
        for other in test.modalities:
            queries, labels = test.labelled(other, column)
            if len(y) and len(labels) and bool(train.present[other].any()):
                own, others = _standardised(train, one, x), _standardised(train, other, queries)
                found.setdefault(one, {})[other] = linear_accuracy(own, y, others, labels)
    return found


def knn_accuracies(train: Embedded, test: Embedded, column: str) -> dict[str, float]:
    """Return modality -> accuracy of the nearest training rows of the same modality."""
    found = {}
    for modality in train.modalities:
        (x, y), (queries, labels) = (e.labelled(modality, column) for e in (train, test))
        if len(y) and len(labels):
            found[modality] = knn_accuracy(x, y, queries, labels)
    return found


def _centroids(vectors: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the centroids ``(K, P)``, of length 1, of the classes ``(K,)`` that have rows."""
    known, index = labels.unique(return_inverse=True)
    sums = vectors.new_zeros(len(known), vectors.shape[1]).index_add(0, index, vectors)
    return F.normalize(sums, dim=1), known


def _standardised(train: Embedded, modality: str, vectors: Tensor) -> Tensor:
    own = train.vectors[modality][train.present[modality]].double()
    std = own.std(dim=0, correction=0)
    return (vectors.double() - own.mean(dim=0)) / torch.where(std > 1e-9, std, torch.inf)


@torch.no_grad()
def class_vectors(
    model: JointModel,
    engine: Engine,
    text: tuple[str, TextSpec],
    classes: Sequence[str],
    templates: Sequence[str],
) -> dict[str, Tensor]:
    """Return space -> a vector for each class, ``(K, P)`` of length 1.

    Empty if two classes have the same tokens, as where the tokenizer knows none of their words.

    Args:
        model: in evaluation mode.
        engine: device and precision.
        text: the modality and its spec.
        classes: names.
        templates: sentences with one ``{}`` for the name.
    """
    modality, spec = text
    ids = [tokenize([t.format(c) for c in classes], spec) for t in templates]
    if len(torch.cat(ids, dim=1).unique(dim=0)) < len(classes):
        return {}
    by_template = [project(model, engine, _alone(model, engine, modality, x)) for x in ids]
    names = [name for name, vectors in by_template[0].items() if modality in vectors]
    means = {
        n: torch.stack([found[n][modality] for found in by_template]).mean(dim=0) for n in names
    }
    return {name: F.normalize(mean, dim=1) for name, mean in means.items()}


def _alone(model: JointModel, engine: Engine, modality: str, x: Tensor) -> Batch:
    """Return rows that have one modality alone; fillers stand for the others."""
    others = [m for m in feature_widths(model) if m != modality]
    absent = torch.zeros(len(x), dtype=torch.bool, device=engine.device)
    filler = torch.zeros(len(x), 1, device=engine.device)
    return Batch(
        inputs={modality: x.to(engine.device), **dict.fromkeys(others, filler)},
        present=dict.fromkeys(others, absent),
    )
