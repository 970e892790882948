"""What several test files share."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from helpers.base.errors import CourseError


@contextmanager
def refused(match: str) -> Iterator[pytest.ExceptionInfo[CourseError]]:
    """The block must end in a CourseError whose message is one sentence and contains `match`."""
    with pytest.raises(CourseError, match=re.escape(match)) as caught:
        yield caught
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert not re.search(r"[.?!] [A-Z]", message), f"more than one sentence: {message}"
