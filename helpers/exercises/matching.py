"""A check that several lessons share."""

from typing import Any


def match(answer: Any, right: dict[str, str], allowed: str, hints: dict[str, str]) -> None:
    """One word for each of the cases a, b, c and d."""
    assert isinstance(answer, dict) and answer.keys() == right.keys(), (
        "keep the dictionary with the four keys a, b, c and d."
    )
    for case, value in right.items():
        given = str(answer[case]).strip().lower()
        assert given in right.values(), f"{case}: use {allowed}."
        assert given == value, f"{case}: {hints[case]}"
