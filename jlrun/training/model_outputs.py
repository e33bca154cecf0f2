"""Outputs of the model for a micro-batch: stream by stream, of all streams at once, or cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from jlrun.data.batch import Batch
from jlrun.models.joint_model import JointModel, Outputs
from jlrun.models.module_state import unchanged_buffers
from jlrun.models.sharing.base import Cut, FeatureSharing
from jlrun.training.micro_batch_losses import CutGraph
from jlrun.training.own_rows import OwnRows
from jlrun.training.plan import Phase


@dataclass(frozen=True)
class ModelPass:
    """The model's part of a forward pass.

    Attributes:
        model: on the device.
        phase: says which heads each stream needs.
    """

    model: JointModel
    phase: Phase

    def whole(self, own: OwnRows) -> dict[str, Outputs]:
        """Return stream -> outputs, of the streams with heads, on one graph."""
        model, heads = self.model, self.phase.heads
        fed = {name: batch for name, batch in own.batches.items() if name in heads}
        if self.phase.joined and len(fed) > 1:
            with own.forward_pass(tuple(fed)):
                return _jointly(model, fed, heads)
        outputs = {}
        for name, batch in fed.items():
            with own.forward_pass((name,)):
                outputs[name] = model(batch, heads[name])
        return outputs

    def cut(self, own: OwnRows, once: bool) -> tuple[dict[str, Outputs], CutGraph]:
        """Return stream -> outputs of the only stream, on a graph that is cut at fused features.

        Args:
            own: of a micro-batch with one stream. The model's body is a `FeatureSharing`.
            once: whether this is the step's only micro-batch. Where it is not, the features of all
                are needed before the first backward pass: the trunk's activations are computed
                once more then, instead of being kept for all.
        """
        ((name, batch),) = own.batches.items()
        model, heads = self.model, self.phase.heads[name]
        body = model.body
        assert isinstance(body, FeatureSharing)
        with own.forward_pass((name,)):
            if once:
                encoded = body.trunk(batch)
            else:
                encoded = checkpoint(
                    body.trunk,
                    batch,
                    use_reentrant=False,
                    context_fn=lambda: (nullcontext(), _once_more(body.trunk, own, name)),
                )
            cut: Cut = body.cut(encoded.fused, heads)
            outputs = model.outputs(encoded.features, encoded.fused, cut.by_task)
        leaves = tuple(cut.leaves[o.head] for o in self.phase.objectives)
        num_rows = own.of_all[name].size
        return {name: outputs}, CutGraph(encoded.fused, leaves, own, num_rows)


def _jointly(
    model: JointModel, batches: Mapping[str, Batch], heads: Mapping[str, Sequence[str]]
) -> dict[str, Outputs]:
    """Pass the batches of several streams through the model as one."""
    inputs = [batch.without_labels() for batch in batches.values()]
    needed = tuple(dict.fromkeys(head for name in batches for head in heads[name]))
    outputs = model(Batch.concatenate(inputs), needed)
    sizes = [batch.size for batch in inputs]

    def pieces(columns: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        split = {name: column.split(sizes) for name, column in columns.items()}
        return [{name: column[i] for name, column in split.items()} for i in range(len(sizes))]

    by_stream = zip(
        batches,
        pieces(outputs.features),
        outputs.fused.split(sizes),
        pieces(outputs.logits),
        pieces(outputs.members),
        strict=True,
    )
    return {
        name: Outputs(
            features,
            fused,
            {head: logits[head] for head in heads[name]},
            {head: members[head] for head in heads[name] if head in members},
        )
        for name, features, fused, logits, members in by_stream
    }


@contextmanager
def _once_more(trunk: nn.Module, own: OwnRows, stream: str) -> Iterator[None]:
    """Return the context in which the trunk computes the features of rows once more."""
    with unchanged_buffers(trunk), own.forward_pass((stream,)):
        yield
