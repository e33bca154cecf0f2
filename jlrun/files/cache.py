"""Cache: where jlrun keeps what it can make anew."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """Return the user's folder for what may be deleted at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "jlrun"
