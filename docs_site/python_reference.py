"""Reference of the Python API: a page for each package that people import from."""

from __future__ import annotations

from importlib import import_module

FOLDER = "reference/python"
PACKAGES = {
    "jlrun": "Runs",
    "jlrun.data": "Data sets and batches",
    "jlrun.tasks": "Tasks",
    "jlrun.models": "Joint model",
    "jlrun.models.encoders": "Encoders",
    "jlrun.models.fusions": "Fusions",
    "jlrun.models.heads": "Heads",
    "jlrun.models.sharing": "Sharing",
    "jlrun.objective": "Objective",
    "jlrun.objective.weightings": "Weightings",
    "jlrun.objective.terms": "Terms",
    "jlrun.objective.terms.adaptation": "Terms of adaptation",
    "jlrun.objective.terms.cross_modal": "Terms between modalities",
    "jlrun.objective.terms.generalization": "Terms between sources",
    "jlrun.objective.terms.self_supervised": "Self-supervised terms",
    "jlrun.objective.terms.transfer": "Terms of transfer",
    "jlrun.objective.balance": "Balance of modalities",
    "jlrun.evaluation.validators": "Validators",
    "jlrun.strategies.finetuning": "Fine-tuning",
    "jlrun.strategies.zero_shot": "Zero-shot methods",
}


def python_pages() -> dict[str, str]:
    """Return address in the site -> Markdown, in which mkdocstrings puts the docstrings."""
    return {f"{FOLDER}/{name}.md": _page(name, title) for name, title in PACKAGES.items()}


def _page(package: str, title: str) -> str:
    members = [n for n in import_module(package).__all__ if not n.startswith("__")]
    listed = "\n".join(f"        - {name}" for name in members)
    return f"# {title}: `{package}`\n\n::: {package}\n    options:\n      members:\n{listed}\n"
