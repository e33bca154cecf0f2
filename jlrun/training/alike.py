"""Ranks that have the same weights, or a run that ends."""

from __future__ import annotations

from jlrun.errors import RunError
from jlrun.models.joint_model import JointModel
from jlrun.ranks.shards import is_shard
from jlrun.ranks.world import World


def check_alike(model: JointModel, world: World, when: str) -> None:
    """Check that all ranks have the same weights, bit for bit; of shards each has its own.

    Args:
        model: of this rank.
        world: the ranks.
        when: in words, such as "at the end of epoch 3".

    Raises:
        RunError: if they do not, on all ranks.
    """
    if not world.several:
        return
    others = world.differing([x for x in model.state_dict().values() if not is_shard(x)])
    if others:
        ranks = ", ".join(map(str, others))
        raise RunError(
            f"{when}, the weights of rank {ranks} are not those of rank 0: all machines need the "
            "same versions of packages and the same files, and engine.deterministic=true"
        )
