"""What several test files share."""

import re
from collections.abc import Callable, Iterable, Iterator
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


def none_fails(checks: Iterable[tuple[str, Callable[[], object]]]) -> None:
    """Make every check, each with a name; fail once, with all that failed."""
    failed = []
    for name, check in checks:
        try:
            check()
        except (Exception, pytest.fail.Exception) as error:
            failed.append(f"{name}: {type(error).__name__}: {error}")
    assert not failed, "\n".join(failed)


def all_refused(cases: Iterable[tuple[Callable[[], object], str]]) -> None:
    """Each call must be `refused` with its match; lists all that were not."""

    def check(call: Callable[[], object], match: str) -> None:
        with refused(match):
            call()

    none_fails((match, lambda call=call, match=match: check(call, match)) for call, match in cases)
