"""Where the course and its cache live."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """Folder for weights, prepared data and features; created if absent.

    ``COURSE_CACHE`` moves it, so that a whole workshop can share one.
    """
    path = Path(os.environ.get("COURSE_CACHE") or ROOT / "data" / "cache").expanduser()
    path.mkdir(parents=True, exist_ok=True)
    return path
