"""What is recorded of missing modalities, by tag."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MISSING = "missing/"
CONTRIBUTION = "contribution/"


def missing_values(result: Mapping[str, Any]) -> dict[str, float]:
    """Return tag -> value of the ``missing`` and ``contribution`` of a result; {} without them.

    ``missing/<subset>/<task>/<metric>``, ``missing/rate_<rate>/<task>/<metric>``,
    ``missing/area/<task>/<metric>``; ``contribution/<modality>/<task>/shapley`` and ``…/ablation``.
    Scores that are not finite have no tag.
    """
    missing = result.get("missing")
    if not missing:
        return {}
    tables = {f"{MISSING}{subset}/": tasks for subset, tasks in missing["subsets"].items()}
    tables |= {f"{MISSING}rate_{point['rate']:g}/": point["test"] for point in missing["rates"]}
    values = {
        f"{prefix}{task}/{metric}": value
        for prefix, tasks in tables.items()
        for task, metrics in tasks.items()
        for metric, value in metrics.items()
    }
    for task, summary in missing["summary"].items():
        values[f"{MISSING}area/{task}/{summary['metric']}"] = summary["area"]
    for task, told in result["contribution"].items():
        for kind in ("shapley", "ablation"):
            for modality, value in told[kind].items():
                values[f"{CONTRIBUTION}{modality}/{task}/{kind}"] = value
    return {tag: v for tag, v in values.items() if v is not None and math.isfinite(v)}
