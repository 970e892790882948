"""The one exception for things a reader can put right."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_WRITABLE = (*_NO_ROOM, errno.EACCES, errno.EPERM, errno.EROFS)


class CourseError(ValueError):
    """Something the reader can put right; the message is one sentence that says how.

    In a notebook (and so in papermill's output) it is shown without a traceback.
    """

    def _render_traceback_(self) -> list[str]:  # IPython's hook for custom tracebacks
        return [f"{type(self).__name__}: {self}"]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn whatever the system has against writing `path` in this block into a CourseError."""
    try:
        yield
    except OSError as error:
        # os.path where Path's functions would raise on a folder that may not be entered
        wrong = next((part for part in path.parents if os.path.isfile(part)), None)
        if wrong is not None:
            sentence = f"the file {wrong} stands where a folder should be; move it away or use"
        elif os.path.isdir(path):
            sentence = f"a folder stands where the file {path} should be; move it away or use"
        elif error.errno in _NO_ROOM:
            sentence = f"there is no room left in {path.parent}; free some or use"
        else:
            sentence = (
                f"nothing can be written to {path.parent} ({error.strerror or error}); ask for the "
                "right to, or use"
            )
        raise CourseError(
            f"{sentence} another folder (the variable COURSE_CACHE moves the cache)."
        ) from error
