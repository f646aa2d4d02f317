"""Several accounts in one browser: the session in use, and those that are kept beside it.

The cookie of the browser session says whose turn it is, and nothing else looks at the others: no door
lets anybody in by them. They are keys to be exchanged for it, by a form of ours, or for an application
that means one of them. Each counts only with its own secret, and as far as the database says, which is
asked for every request: what a cookie claims to be is no reason for anything.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import Connection
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request

from iam.directory.preferences import NO_PREFERENCES, Preferences, read_preferences
from iam.kernel.clock import Instant
from iam.kernel.events import SYSTEM
from iam.languages import speak
from iam.sessions import lifecycle, store
from iam.sessions.lifecycle import Ended, Started
from iam.sessions.model import BUILT_IN_APPLICATION, EndReason, LiveRow
from iam.sessions.validate import Outcome, Verdict, validate
from iam.settings import Settings
from iam.web.address import origin_of
from iam.web.cookies import (
    BROWSER,
    KEPT,
    OTHERS,
    clear_cookie,
    cookie_name,
    read_cookie,
    set_browser_session,
    set_cookie,
)
from iam.web.csrf import csrf_token
from iam.web.engine import Engine, in_thread

MOST = 7
"""Accounts that a browser keeps beside the one in use."""
_TOKEN = r"ses_[0-9a-hjkmnp-tv-z]{26}\.[A-Za-z0-9_-]{43}"  # noqa: S105 - the form of a token, and none
_SEPARATOR = "~"
# Whole or nothing: a value that is not one of ours is not searched for pieces that could be.
_VALUE = re.compile(rf"{_TOKEN}(?:{_SEPARATOR}{_TOKEN}){{0,{MOST - 1}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Account:
    """A browser session that this browser has proven to hold or to have held.

    `remembered`: its holder asked to be kept signed in.
    """

    token: str
    verdict: Verdict
    row: LiveRow
    remembered: bool

    @property
    def lives(self) -> bool:
        """Whether it is not over; it may be locked."""
        return self.verdict.living is not None

    @property
    def good(self) -> bool:
        """Whether one can go on with it as it is."""
        return self.verdict.outcome is Outcome.VALID

    @property
    def who(self) -> tuple[str, str]:
        """The organization and the name of its user."""
        return self.row.organization, self.row.user


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a browser holds: each session proven by its secret, at most one of each user.

    `current` is the one in use, also if it is over; `others` live, the one used last first; `over` are those
    of the others that have ended. `tokens` is all that was sent beside the current one.
    """

    current: Account | None = None
    others: tuple[Account, ...] = ()
    over: tuple[Account, ...] = ()
    tokens: tuple[str, ...] = ()

    @property
    def living(self) -> tuple[Account, ...]:
        """Those with which one can go on, the current one first."""
        own = (self.current,) if self.current is not None and self.current.lives else ()
        return (*own, *self.others)

    @property
    def ids(self) -> tuple[str, ...]:
        """The session IDs of those: what a sign-in in this browser may take the place of."""
        return tuple(one.row.id for one in self.living)

    def find(self, session_id: str) -> Account | None:
        """The living one with this session ID."""
        return next((one for one in self.living if one.row.id == session_id), None)

    @property
    def csrf(self) -> str:
        """The hidden field of the forms that change which account is in use: bound to the current session's
        secret, whose page it is; where there is none, to what else nobody but this browser can know. For a
        page that tidies up (`tidy`), so that it holds for the cookies as they are then."""
        if self.current is not None and self.current.lives:
            return csrf_token(self.current.token)
        return csrf_token(_key(one.token for one in self.others))

    @property
    def key(self) -> str:
        """What such a form is checked with when it comes back; what has ended meanwhile is no hindrance.
        Empty, which no form is accepted by, if there is nothing."""
        return self.current.token if self.current is not None else _key(self.tokens)


def _key(tokens: Iterable[str]) -> str:
    return _SEPARATOR.join(sorted(tokens))


def _tokens(request: HTTPConnection, settings: Settings) -> dict[str, bool]:
    """The tokens in the cookies of the other accounts, and whether they may outlast the browser; none of a
    cookie that is not as ours are."""
    found: dict[str, bool] = {}
    for name in (OTHERS, KEPT):
        value = read_cookie(request, settings, name) or ""
        if _VALUE.fullmatch(value):
            found |= dict.fromkeys(value.split(_SEPARATOR), name == KEPT)
    return found


def has_others(request: HTTPConnection, settings: Settings) -> bool:
    """Whether the browser sends anything for other accounts. Asks no database, so it may be mistaken:
    good for a link, and for nothing else."""
    return any(read_cookie(request, settings, name) for name in (OTHERS, KEPT))


def read_current(
    connection: Connection, request: HTTPConnection, settings: Settings, now: Instant
) -> Held:
    """What a browser holds that sends nothing for other accounts: one read."""
    token = read_cookie(request, settings, BROWSER)
    account = _account(connection, token, now, remembered=False) if token is not None else None
    return Held(current=account)


def read_held(
    connection: Connection, request: HTTPConnection, settings: Settings, now: Instant
) -> Held:
    """What this browser holds, as the database says in this transaction."""
    current = read_current(connection, request, settings, now).current
    if current is not None:
        session = store.read_session(connection, current.row.id)
        current = replace(current, remembered=session is not None and session.remembered)
    tokens = _tokens(request, settings)
    seen = {current.who} if current is not None and current.lives else set()
    living, over = [], []
    beside = [_account(connection, one, now, remembered=kept) for one, kept in tokens.items()]
    for one in sorted(filter(None, beside), key=lambda one: -one.row.last_active_at):
        if not one.lives:
            over.append(one)
        elif one.who not in seen:
            seen.add(one.who)
            living.append(one)
    return Held(
        current=current,
        others=tuple(living),
        over=tuple(one for one in over if one.who not in seen),
        tokens=tuple(tokens),
    )


def _account(
    connection: Connection, token: str, now: Instant, *, remembered: bool
) -> Account | None:
    verdict = validate(connection, token, now)
    row = verdict.row
    # A token of an application's session is none of a browser (`web.visitor`).
    if row is None or row.application != BUILT_IN_APPLICATION:
        return None
    return Account(token, verdict, row, remembered)


def shown(account: Account) -> dict[str, object]:
    """An account as pages show it."""
    row = account.row
    return {
        "id": row.id,
        "user": row.display_name or row.user,
        "username": row.user,
        "organization": row.organization,
        "locked": account.lives and not account.good,
    }


async def hold(engine: Engine, request: Request, now: Instant) -> Held:
    """The same, for a page, which from here on speaks as the person in use wishes."""
    settings = engine.settings
    if read_cookie(request, settings, BROWSER) is None and not has_others(request, settings):
        return Held()

    def work(connection: Connection) -> tuple[Held, Preferences]:
        held = read_held(connection, request, settings, now)
        if held.current is None:
            return held, NO_PREFERENCES
        return held, read_preferences(connection, *held.current.who)

    held, said = await in_thread(lambda: engine.database.read(work))
    speak(said.locale, said.zone)
    if held.current is not None:
        engine.metrics.validations[str(held.current.verdict.outcome)] += 1
    return held


def keep_others(
    headers: MutableHeaders, settings: Settings, others: Iterable[Account], now: Instant
) -> None:
    """Have the browser keep these accounts beside the one in use, and no others.

    Two cookies: one must not outlast the browser because another may.
    """
    kept = list(others)
    lasting = [one for one in kept if one.remembered]
    brief = [one for one in kept if not one.remembered]
    for name, some in ((OTHERS, brief), (KEPT, lasting)):
        if not some:
            clear_cookie(headers, settings, name)
            continue
        max_age = None
        if some is lasting:
            max_age = max(one.row.expires_at - now for one in some) // 1000
        set_cookie(headers, settings, name, _SEPARATOR.join(one.token for one in some), max_age)


def use(
    headers: MutableHeaders, settings: Settings, held: Held, account: Account, now: Instant
) -> None:
    """Make one of the others the account in use, and keep the one that was beside it."""
    max_age = (account.row.expires_at - now) // 1000 if account.remembered else None
    set_cookie(headers, settings, BROWSER, account.token, max_age)
    rest = [one for one in held.living if one.row.id != account.row.id]
    keep_others(headers, settings, rest, now)


def tidy(
    headers: MutableHeaders,
    request: HTTPConnection,
    settings: Settings,
    held: Held,
    now: Instant,
) -> None:
    """Take out of the cookies what is worth nothing (any more)."""
    lost = held.current is None or not held.current.lives
    # Also one that came twice, which counts as none.
    sent = f"{cookie_name(settings, BROWSER)}=" in request.headers.get("cookie", "")
    if lost and sent:
        clear_cookie(headers, settings, BROWSER)
    worth = {one.token for one in held.others}
    if worth != set(held.tokens) or (not worth and has_others(request, settings)):
        keep_others(headers, settings, held.others, now)


async def take_in(
    engine: Engine,
    request: Request,
    headers: MutableHeaders,
    held: Held,
    started: Started,
    now: Instant,
) -> None:
    """Make a session that was just started or raised the one in use; the one that was is kept beside it.

    `held` is what the browser held before. Whoever was here already is not kept twice. Where there is no
    room for one more, the one that was used longest ago ends: nobody would hold it any more.
    """
    new = started.session
    set_browser_session(headers, engine.settings, started, now)
    gone = {new.id, *(one.session.id for one in started.ended)}
    others = [
        one
        for one in held.living
        if one.row.id not in gone and one.who != (new.organization, new.user)
    ]
    others.sort(key=lambda one: -one.row.last_active_at)
    surplus = [one.row.id for one in others[MOST:]]
    if surplus:
        engine.count_ended(await _end_surplus(engine, request, surplus, now))
    if others or held.tokens:
        keep_others(headers, engine.settings, others[:MOST], now)


async def _end_surplus(
    engine: Engine, request: Request, session_ids: list[str], now: Instant
) -> tuple[Ended, ...]:
    def end() -> tuple[Ended, ...]:
        return engine.database.write(
            lambda c: lifecycle.end(
                c,
                session_ids,
                reason=EndReason.LIMIT,
                actor=SYSTEM,
                now=now,
                random=engine.random,
                origin=origin_of(request, engine.settings),
                note="made room for one more account in the same browser",
            )
        )

    return await in_thread(end)
