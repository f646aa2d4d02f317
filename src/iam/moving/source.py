"""Where it is read from: a database of Casdoor's or Hanzo's, or a file of its data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from iam.kernel.errors import Invalid
from iam.moving.records import Record

READ = ("organizations", "roles", "applications", "providers", "users", "certs", "sessions")
"""What is read, by the names that `init_data.json` has for it."""


class SourceUnreadable(Invalid):
    """What is to move in cannot be read."""

    code = "source_unreadable"
    title = "What is to move in cannot be read."


@dataclass(frozen=True, slots=True)
class Counted:
    """How much there is."""

    users: int
    sessions: int
    unread: Mapping[str, int]
    """What else is there and is not read, and how many of each."""


class Source(Protocol):
    """Something that was opened and shows one unchanging state until it is closed."""

    passwords_as_typed: bool
    """Whether a password without a type of its own is one that nobody has hashed yet."""

    def count(self) -> Counted:
        """How much there is."""

    def all_of(self, name: str) -> Sequence[Record]:
        """Everything of one sort, of which there is little: any of `READ` but users."""

    def users(self, batch: int) -> Iterator[Sequence[Record]]:
        """All users, so many at a time, always in the same order."""
