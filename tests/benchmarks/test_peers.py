"""Lightning's run beside jlrun's learns as well as it does: the times compare the same work."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cases import CASES, PlainLoop
from jlrun.engine import session


@pytest.mark.filterwarnings("ignore")  # what Lightning says of its own parts
@pytest.mark.parametrize("batched", [False, True])
def test_lightning_learns_what_the_plain_loop_does(tmp_path: Path, batched: bool) -> None:
    pytest.importorskip("lightning", reason="Lightning is not installed")
    from benchmarks.peers import fitted

    with session(threads=1, deterministic=True):
        trainer, fit = fitted(CASES["MLP, one task"].assemble(), 4, batched, tmp_path)
        fit()
        plain = PlainLoop(CASES["MLP, one task"].assemble())
        plain.epochs(4)
        loss, accuracy = plain.validate()
    assert trainer.global_step == 4 * plain.steps_per_epoch
    found = trainer.callback_metrics
    assert float(found["val/accuracy"]) == pytest.approx(accuracy["digit"], abs=0.03)
    assert float(found["val/loss"]) == pytest.approx(loss, abs=0.06)
