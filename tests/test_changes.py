"""Changes that queue for a thread: each has its own answer, whatever becomes of the others."""

import asyncio
import threading

import pytest
from sqlalchemy import Connection, text
from starlette.responses import PlainTextResponse, Response

from iam.db import Database
from iam.kernel.errors import Conflict
from iam.web.changes import Change, Changes

_COUNT = text("SELECT count(*) FROM throttle")


def _note(key: str) -> Change:
    def work(connection: Connection) -> str:
        if key == "wrong":
            raise Conflict("not this one")
        connection.execute(text("INSERT INTO throttle VALUES (:key, 0, 0, 0)"), {"key": key})
        return key

    return Change(work, PlainTextResponse)


def _noted(database: Database) -> int:
    return int(database.read(lambda c: c.execute(_COUNT).scalar_one()))


@pytest.mark.anyio
async def test_each_of_many_callers_gets_the_answer_to_its_own_change(database: Database) -> None:
    changes = Changes(database)
    keys = [f"key {n}" if n % 7 else "wrong" for n in range(200)]

    answers = await asyncio.gather(
        *(changes.run(lambda key=key: _note(f"{key}")) for key in keys),  # type: ignore[misc] # mypy cannot infer defaults
        return_exceptions=True,
    )

    for key, answer in zip(keys, answers, strict=True):
        if key == "wrong":
            assert isinstance(answer, Conflict)
        else:
            assert isinstance(answer, Response)
            assert answer.body == key.encode()
    assert _noted(database) == 200 - keys.count("wrong")
    changes.close()


@pytest.mark.anyio
async def test_a_caller_that_is_refused_or_leaves_holds_up_nobody(database: Database) -> None:
    changes = Changes(database)
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> Change:
        begun.set()
        assert go_on.wait(60)
        return _note("slow")

    def refused() -> Change:
        raise Conflict("nobody")

    leaves = asyncio.ensure_future(changes.run(slow))
    assert await asyncio.to_thread(begun.wait, 60)
    others = [asyncio.ensure_future(changes.run(one)) for one in (refused, lambda: _note("other"))]
    leaves.cancel()
    go_on.set()

    with pytest.raises(Conflict):
        await others[0]
    assert (await others[1]).body == b"other"
    changes.close()
    # What had been begun for the caller who left is done all the same, as with any request.
    assert _noted(database) == 2
