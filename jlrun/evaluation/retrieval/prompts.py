"""Classes in words: what the text encoder makes of their names, to be compared with other inputs.

Zero-shot classification of Radford et al., "Learning Transferable Visual Models From Natural
Language Supervision", ICML 2021, section 3.1: the mean over sentences about a class, of length 1.
"""

# K classes;  P width of the space

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.data.batch import Batch
from jlrun.data.reading.texts import tokenize
from jlrun.data.specs import TextSpec
from jlrun.engine import Engine
from jlrun.evaluation.retrieval.embedded import project
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.cross_modal.base import feature_widths


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
