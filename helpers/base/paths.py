"""Where the course and its cache live."""

import os
from pathlib import Path

from helpers.base.errors import writing

ROOT = Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """Folder for weights, prepared data and features; created if absent and if that is allowed.

    ``COURSE_CACHE`` moves it, so that a whole workshop can share one, also read-only.

    Raises:
        CourseError: a file stands where the folder should be.
    """
    path = Path(os.path.expanduser(os.environ.get("COURSE_CACHE") or ROOT / "data" / "cache"))
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        with writing(path / "file"):
            raise
    except OSError:
        pass  # then nothing is kept; whatever has to be written will say so
    return path
