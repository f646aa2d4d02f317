"""The keys that a process knows: all of the table, looked at again every few seconds."""

from collections.abc import Sequence

from iam.kernel.clock import Instant
from iam.keys.signing import SigningKey, in_order


class KeyRing:
    """Replaced as a whole, so that nobody who signs or verifies waits for anything."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        self._keys = tuple(keys)

    def replace(self, keys: Sequence[SigningKey]) -> None:
        """Know these from now on."""
        self._keys = tuple(keys)

    def at(self, now: Instant) -> tuple[SigningKey, ...]:
        """The keys in the order of `in_order`."""
        return in_order(self._keys, now)
