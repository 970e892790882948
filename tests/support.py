"""What several test files share."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from helpers.base.errors import CourseError
from helpers.base.paths import ROOT

T = TypeVar("T")


@contextmanager
def refused(match: str) -> Iterator[pytest.ExceptionInfo[CourseError]]:
    """The block must end in a CourseError whose message is one sentence and contains `match`."""
    with pytest.raises(CourseError, match=re.escape(match)) as caught:
        yield caught
    assert is_one_sentence(str(caught.value)), str(caught.value)


def is_one_sentence(message: str) -> bool:
    return (
        "\n" not in message
        and message.endswith(".")
        and not re.search(r"[.?!] [A-Z]", message)  # a second sentence
    )


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


def rule(things: Iterable[T]) -> Callable[[Callable[[T], Iterable[str]]], Callable[[], None]]:
    """Make one test of a function that yields what is wrong with one thing; it lists them all."""

    def decorate(find: Callable[[T], Iterable[str]]) -> Callable[[], None]:
        def test() -> None:
            every = list(things)
            assert every, "there is nothing to test"
            wrong = []
            for thing in every:
                if isinstance(thing, Path):
                    name = thing.relative_to(ROOT).as_posix()
                else:
                    name = thing[0] if isinstance(thing, list) else str(thing)
                try:
                    wrong += [f"{name}: {problem}" for problem in find(thing)]
                except Exception as error:
                    error.add_note(f"while testing {name}")
                    raise
            assert not wrong, "\n".join(["", *wrong])

        test.__name__, test.__doc__, test.__module__ = find.__name__, find.__doc__, find.__module__
        return test

    return decorate
