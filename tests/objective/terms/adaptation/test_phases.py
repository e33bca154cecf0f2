"""What all terms of adaptation share: several sources, missing streams, phases without classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from jlrun.errors import UserError
from jlrun.objective.terms.adaptation import (
    CDAN,
    CORAL,
    DANN,
    JAN,
    MCC,
    MDD,
    MMD,
    Entropy,
    FixMatch,
    SourceCORAL,
)
from jlrun.objective.terms.base import StepView, Term
from tests.objective.terms.adaptation.domains import (
    SPECS,
    begun,
    drawn_view,
    number,
    small_model,
    start_of,
)

SOURCES = ("sources.a", "sources.b")
SIZES = {"sources.a": 4, "sources.b": 6, "target": 5}
PAIRED: dict[str, Callable[[], Term]] = {
    "dann": lambda: DANN(hidden=5),
    "dann, one for each source": lambda: DANN(hidden=5, per_source=True),
    "cdan": lambda: CDAN(hidden=5),
    "cdan, one for each source": lambda: CDAN(hidden=5, per_source=True),
    "mmd": MMD,
    "jan": JAN,
    "coral": CORAL,
    "mdd": lambda: MDD(hidden=5),
}
CLASSES: dict[str, Callable[[], Term]] = {
    "cdan": CDAN,
    "jan": JAN,
    "mdd": MDD,
    "mcc": MCC,
    "entropy": Entropy,
    "fixmatch": FixMatch,
}


def without(view: StepView, *names: str) -> StepView:
    left = {name: outputs for name, outputs in view.outputs.items() if name not in names}
    return replace(view, outputs=left)


@pytest.mark.parametrize("name", PAIRED)
def test_several_sources_are_averaged(name: str) -> None:
    term, view = begun(PAIRED[name](), (*SOURCES, "target")), drawn_view(SIZES)
    one, other = (number(term(without(view, source))) for source in SOURCES)
    assert one != other
    assert number(term(view)) == pytest.approx((one + other) / 2)


@pytest.mark.parametrize("name", PAIRED)
def test_a_part_may_lack_a_side(name: str) -> None:
    term, view = begun(PAIRED[name](), (*SOURCES, "target")), drawn_view(SIZES)
    assert number(term(without(view, "target"))) == 0
    assert number(term(without(view, *SOURCES))) == 0
    empty = drawn_view({"sources.a": 0, "sources.b": 6, "target": 5})
    assert number(term(empty)) == pytest.approx(number(term(without(empty, "sources.a"))))
    assert number(term(drawn_view({"sources.a": 3, "target": 0}))) == 0


@pytest.mark.parametrize("term", [MCC(), Entropy(), FixMatch()])
def test_a_part_may_lack_the_target(term: Term) -> None:
    assert number(term(without(drawn_view(), "target"))) == 0
    assert number(term(drawn_view({"source": 3, "target": 0}))) == 0


def test_one_source_has_no_pair() -> None:
    assert number(SourceCORAL()(drawn_view({"sources.a": 4}))) == 0


@pytest.mark.parametrize("name", CLASSES)
def test_phases_without_classes_are_refused(name: str) -> None:
    specs = {"height": SPECS["height"]}
    with pytest.raises(UserError, match=rf"terms\.{name}: .*exclusive classes.*height"):
        begun(CLASSES[name](), specs=specs)


@pytest.mark.parametrize("name", ["cdan", "jan", "mdd"])
def test_heads_that_are_not_shared_are_refused(name: str) -> None:
    observed = {"source": ("digit",), "target": ("even", "height")}
    start = start_of(small_model(), observed=observed)
    with pytest.raises(UserError, match="share no head"):
        CLASSES[name]().begin_phase(start)


@pytest.mark.parametrize("name", ["cdan", "jan", "mdd"])
def test_a_head_counts_where_both_sides_have_it(name: str) -> None:
    """Two sources, of which only one has the second head: its mean is over that one."""
    observed = {
        "sources.a": ("digit", "even"),
        "sources.b": ("digit",),
        "target": ("digit", "even"),
    }
    view, term = drawn_view(SIZES), PAIRED[name]()
    torch.manual_seed(1)
    term.begin_phase(start_of(small_model(), observed=observed))
    seen = {
        stream: replace(o, logits={head: o.logits[head] for head in observed[stream]})
        for stream, o in view.outputs.items()
    }

    def with_heads(*heads: str) -> StepView:
        kept = {
            s: replace(o, logits={h: z for h, z in o.logits.items() if h in heads})
            for s, o in seen.items()
        }
        return replace(view, outputs=kept)

    alone = number(term(without(with_heads("even"), "sources.b")))
    both = number(term(with_heads("digit", "even")))
    assert both == pytest.approx(number(term(with_heads("digit"))) + alone)


@pytest.mark.parametrize("name", ["dann", "mmd", "coral", "cdan"])
def test_maps_are_refused(name: str) -> None:
    term, view = begun(PAIRED[name]()), drawn_view()
    maps = {s: replace(o, fused=o.fused[:, :, None, None]) for s, o in view.outputs.items()}
    with pytest.raises(UserError, match=rf"terms\.{name}: the features are maps"):
        term(replace(view, outputs=maps))


@pytest.mark.parametrize("name", PAIRED)
def test_built_as_the_seed_says(name: str) -> None:
    """`begun` seeds the generator: what a term draws comes from there alone."""
    one, other = (begun(PAIRED[name](), (*SOURCES, "target")).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", PAIRED)
def test_networks_have_the_type_of_the_model(name: str) -> None:
    term = begun(PAIRED[name](), model=small_model().float())
    assert all(p.dtype == torch.float32 for p in term.parameters())
    assert all(p.dtype == torch.float64 for p in begun(PAIRED[name]()).parameters())


@pytest.mark.parametrize("name", PAIRED)
def test_bfloat16_features_give_a_float32_value(name: str) -> None:
    view = drawn_view(SIZES)
    half = {
        s: replace(
            o, fused=o.fused.bfloat16(), logits={h: z.bfloat16() for h, z in o.logits.items()}
        )
        for s, o in view.outputs.items()
    }
    term = begun(PAIRED[name](), (*SOURCES, "target"), model=small_model().float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = term(replace(view, outputs=half))
    assert value.dtype == torch.float32
    wanted = number(term.double()(view))
    assert number(value) == pytest.approx(wanted, rel=0.05, abs=0.02)
