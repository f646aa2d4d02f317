"""Validation: what is the key of a session that lives, and what is not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from iam.db import Database
from iam.kernel.secrets import NOBODY, parse_token
from iam.sessions.model import EndReason, LiveRow
from iam.sessions.reader import SESSIONS, Reader, open_reader
from iam.sessions.validate import Outcome, SessionEnded, SessionUnknown, judge, require_valid
from tests.support.heart import Heart

Result = TypeVar("Result")

MALFORMED = [
    "",
    ".",
    "\0",
    "Bearer",
    "ses_",
    "ses_" + "0" * 26,
    "." + "A" * 43,
    "ses_" + "0" * 26 + "." + "A" * 42,
    "ses_" + "0" * 26 + "." + "A" * 44,
    "ses_" + "0" * 25 + "." + "A" * 43,
    "ses_" + "0" * 26 + "." + "=" * 43,
    "ses_" + "l" * 26 + "." + "A" * 43,
    "SES_" + "0" * 26 + "." + "A" * 43,
    "usr_" + "0" * 26 + "." + "A" * 43,
    "ses_" + "0" * 26 + "." + "A" * 43 + "\n",
    "\nses_" + "0" * 26 + "." + "A" * 43,
    "ses_" + "٠" * 26 + "." + "A" * 43,
    "ses_" + "0" * 26 + "." + "А" * 43,
    "ses_' OR 1=1 --",
    "\ud800",
    "é" * 74,
    "A" * 1_000_000,
]


def test_a_token_tells_whose_session_it_is(heart: Heart) -> None:
    row = require_valid(heart.verdict(heart.start()))

    assert (row.organization, row.user, row.application) == ("acme", "ana", "wiki")
    assert row.display_name == "Ana"


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: repr(text)[:40])
def test_what_is_no_token_is_unknown(text: str) -> None:
    assert parse_token(text) in (NOBODY, ("ses_" + "0" * 26, "A" * 43))


def test_malformed_tokens_are_all_unknown_and_harmless(heart: Heart) -> None:
    started = heart.start()

    for text in MALFORMED:
        assert heart.verdict(text).outcome is Outcome.UNKNOWN
    assert heart.over(started) is None
    heart.check()


@settings(
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(some.text() | some.from_regex(r"ses_[0-9a-z]{26}\.[A-Za-z0-9_-]{43}\n?", fullmatch=True))
@example("ses_" + "0" * 26 + "." + "A" * 43)
def test_any_text_is_judged_and_unknown(heart: Heart, text: str) -> None:
    assert heart.verdict(text).outcome is Outcome.UNKNOWN


def test_every_change_of_a_token_makes_it_unknown(heart: Heart) -> None:
    token = heart.start().token

    for place in range(len(token)):
        other = "1" if token[place] != "1" else "2"
        changed = token[:place] + other + token[place + 1 :]
        assert heart.verdict(changed).outcome is Outcome.UNKNOWN, place


def test_the_secret_of_another_session_proves_nothing(heart: Heart) -> None:
    mine, yours = heart.start(), heart.start()

    mixed = yours.session.id + "." + mine.token.partition(".")[2]

    assert heart.verdict(mixed).outcome is Outcome.UNKNOWN


def test_why_a_session_ended_is_told_to_its_holder_alone(heart: Heart) -> None:
    started = heart.start()
    heart.end(started, reason=EndReason.SIGNED_OUT)

    with pytest.raises(SessionEnded) as ended:
        require_valid(heart.verdict(started))
    with pytest.raises(SessionUnknown):
        require_valid(heart.verdict(started.session.id + "." + "A" * 43))

    assert ended.value.reason is EndReason.SIGNED_OUT
    assert ended.value.members == {"end_reason": "signed_out"}


def _on_loop(database: Database, use: Callable[[Reader[LiveRow]], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        reader = open_reader(database, SESSIONS)
        try:
            return await use(reader)
        finally:
            await reader.close()

    return asyncio.run(run())


def test_a_reader_sees_the_end_of_a_session_in_its_next_read(heart: Heart) -> None:
    started = heart.start()
    token = parse_token(started.token)

    async def look(reader: Reader[LiveRow]) -> list[Outcome]:
        first = judge(token, await reader.read(token.session_id), heart.now)
        await asyncio.to_thread(heart.end, started)
        second = judge(token, await reader.read(token.session_id), heart.now)
        return [first.outcome, second.outcome]

    assert _on_loop(heart.database, look) == [Outcome.VALID, Outcome.ENDED]


def test_a_reader_answers_many_at_once_each_with_its_own_row(heart: Heart) -> None:
    started = [heart.start() for _ in range(50)]
    wanted = [one.session.id for one in started] * 3 + ["ses_unknown", ""]

    async def look(reader: Reader[LiveRow]) -> list[LiveRow | None]:
        return list(await asyncio.gather(*(reader.read(one) for one in wanted)))

    rows = _on_loop(heart.database, look)

    assert [row.id if row is not None else None for row in rows] == [*wanted[:-2], None, None]


def test_a_reader_reads_the_same_row_as_a_validation_in_a_transaction(heart: Heart) -> None:
    started = heart.start(instance="wiki.test")

    async def look(reader: Reader[LiveRow]) -> LiveRow | None:
        return await reader.read(started.session.id)

    row = _on_loop(heart.database, look)

    assert row == heart.verdict(started).row
    assert type(row) is LiveRow
