"""Scores as JSON files hold them."""

from __future__ import annotations

from typing import Any

SavedScores = dict[str, dict[str, Any]]  # task -> metric -> score
