"""What the course reads and did not make: a row per data set and per file of weights."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from helpers.base.errors import CourseError


class NotFetched(CourseError):
    """Data or weights that are not here, but can be fetched."""


@dataclass(frozen=True, kw_only=True)
class Asset(ABC):
    """A data set or a file of weights; `data/README.md` has a card of each.

    Attributes:
        source: where it comes from.
        license: of the thing itself.
        sha256: of the file at the source, or its beginning; empty if the digests are elsewhere
            (`data/README.md` says where) or if there is no file.
        missing: what it means for the course if it is not here.
        needed: whether the course cannot do without.
        fetch: brings it and says in a sentence what it did; raises CourseError if it cannot. None
            for what comes with the installation.
        by_default: whether plain ``course fetch`` brings it.
    """

    source: str
    license: str
    sha256: str = ""
    missing: str
    needed: bool = False
    fetch: Callable[[], str] | None = None
    by_default: bool = False

    @abstractmethod
    def look(self) -> str:
        """What is here, verified; raises NotFetched if it is absent, CourseError if damaged."""

    def status(self) -> tuple[bool, str]:
        """Whether all is well (present, or optional and absent), and a phrase about it."""
        try:
            return True, self.look()
        except NotFetched:
            return not self.needed, f"not here: {self.missing}"
        except CourseError as error:
            return False, str(error)
