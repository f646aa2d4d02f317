"""Pieces of work that begin at the same instant in as many threads."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def race(*works: Callable[[], Any]) -> list[Any]:
    """Run all at once; answer what each returned, or the error it raised, in their order."""
    line = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        line.wait()
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - the loser of a race is what the test looks at
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def unexpected(results: Sequence[Any], *expected: type[Exception]) -> list[Exception]:
    """The errors among results that are not of these kinds."""
    return [one for one in results if isinstance(one, Exception) and not isinstance(one, expected)]
