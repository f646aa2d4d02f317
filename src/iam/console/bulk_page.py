"""`/console/ends`: many sessions at once. First what it would be, then the confirmation, then step by step.

Each step is one form: with JavaScript the page sends them by itself, without it somebody presses a
button. Whoever goes away leaves the rest to the server (`sessions.bulk.take_up`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.console.ending import back_to, signed_out
from iam.console.filters import WORDS, Asked, chips, read_filters
from iam.console.rows import names_of, row_of
from iam.console.scope import require_console, scope_of
from iam.kernel.clock import Instant
from iam.kernel.ids import SESSION, is_id
from iam.languages import N_, _, gettext, n_
from iam.sessions import bulk, lifecycle, store
from iam.sessions.bulk import UNCONFIRMED_AT_MOST, BulkEnd, BulkEndMissing, ConfirmationInvalid
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason, Session
from iam.sessions.policy import end_reason
from iam.sessions.search import SessionFilter
from iam.web.address import origin_of
from iam.web.caller import Person
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.forms import read_choices, read_form
from iam.web.fresh import require_fresh
from iam.web.pages import page_errors, render, see_other
from iam.web.rights import Right
from iam.web.visitor import Visitor, posting_visitor, visitor_of

_SAMPLE = 10
_CHOSEN_AT_MOST = 200
_LONGEST_NOTE = 512
_STEPS = 4
"""Steps of one request: an answer comes within a second or two, so that one sees it move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Preview:
    number: int
    sample: tuple[Session, ...]
    chosen: tuple[str, ...] = ()
    bulk: BulkEnd | None = None


@page_errors
async def preview(request: Request) -> Response:
    """POST: what would end: the chosen sessions, or (`what=all`) all live ones that match the filter."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields, chosen = await read_choices(request, "id")
    visitor = await posting_visitor(engine, request, fields, now)
    person, asked = require_console(visitor, Right.END_SESSIONS), read_filters(fields)
    if fields.get("what") == "all" and not asked.mistakes and asked.state in ("active", "locked"):
        found = await in_thread(
            lambda: engine.database.write(lambda c: _propose(c, engine, visitor, asked, now))
        )
    else:
        found = await in_thread(
            lambda: engine.database.read(lambda c: _chosen(c, person, chosen, now))
        )
    if not found.number:
        return see_other(_with_notice(back_to(fields), "none"))
    return await _ask(request, visitor, asked, found, fields, now)


@page_errors
async def end_chosen(request: Request) -> Response:
    """POST: end the sessions that were chosen, after the question."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields, chosen = await read_choices(request, "id")
    visitor = await posting_visitor(engine, request, fields, now)
    person = require_console(visitor, Right.END_SESSIONS)
    about = n_(
        "You wanted to end %(number)s session that you had chosen.",
        "You wanted to end %(number)s sessions that you had chosen.",
        len(chosen),
    )
    what = _("End these sessions")
    await require_fresh(request, visitor, what, now, about=about, back=back_to(fields))

    def work(connection: Connection) -> tuple[Ended, ...]:
        reachable = {one.id for one in _chosen(connection, person, chosen, now).sample}
        how: dict[str, Any] = {
            "actor": person.actor,
            "now": now,
            "random": engine.random,
            "origin": origin_of(request, engine.settings),
            "note": _note(fields),
        }
        own = {visitor.session.id} & reachable
        ended = lifecycle.end(connection, own, reason=EndReason.SIGNED_OUT, **how)
        rest = reachable - own
        return ended + lifecycle.end(connection, rest, reason=EndReason.ENDED_BY_ADMIN, **how)

    ended = await in_thread(lambda: engine.database.write(work))
    engine.count_ended(ended)
    if any(visitor.holds(one.session.id) for one in ended):
        return await signed_out(request, visitor, ended)
    return see_other(_with_notice(back_to(fields), f"ended-{len(ended)}"))


@page_errors
async def go_on(request: Request) -> Response:
    """POST: confirm a proposal (`confirmed`), or go on with one that was; some steps, then the page of
    how far it is."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    person, bulk_id = require_console(visitor, Right.END_SESSIONS), str(request.path_params["id"])
    found = await in_thread(lambda: engine.database.read(lambda c: _own(c, person, bulk_id)))
    if found.confirmed_at is None:
        if found.number > UNCONFIRMED_AT_MOST and not _typed(fields, found.number):
            sample = await in_thread(
                lambda: engine.database.read(lambda c: _sample(c, found.wanted, now))
            )
            told = _Preview(number=found.number, sample=sample, bulk=found)
            wrong = _("Type %(number)s to confirm that so many sessions end.", number=found.number)
            return await _ask(request, visitor, read_filters(fields), told, fields, now, wrong)
        what = n_("End %(number)s session", "End %(number)s sessions", found.number)
        about = n_(
            "You wanted to end %(number)s session that you had chosen.",
            "You wanted to end %(number)s sessions that you had chosen.",
            found.number,
        )
        await require_fresh(request, visitor, what, now, about=about, back=back_to(fields))
        await in_thread(
            lambda: engine.database.write(
                lambda c: bulk.confirm(
                    c,
                    bulk_id,
                    found.wanted,
                    note=_note(fields),
                    actor=person.actor,
                    now=now,
                    random=engine.random,
                    origin=origin_of(request, engine.settings),
                )
            )
        )
    ended = await in_thread(lambda: _steps(engine, bulk_id, request))
    if any(visitor.holds(one.session.id) for one in ended):
        return await signed_out(request, visitor, ended)
    return see_other(f"/console/ends/{bulk_id}")


@page_errors
async def show_end(request: Request) -> Response:
    """GET: how far a bulk end is, for who began it."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person, bulk_id = require_console(visitor, Right.END_SESSIONS), str(request.path_params["id"])
    found = await in_thread(lambda: engine.database.read(lambda c: _own(c, person, bulk_id)))
    if found.confirmed_at is None:
        raise ConfirmationInvalid
    return render(
        request,
        "console_ends.html",
        person=person,
        csrf=visitor.csrf,
        bulk=found,
        # What ended by itself meanwhile is none of what was ended, and the bar still gets to its end.
        done=found.finished_at is not None,
        of=max(found.number, found.processed, 1),
        words=_filter_words(found.wanted),
    )


def _propose(
    connection: Connection, engine: Engine, visitor: Visitor, asked: Asked, now: Instant
) -> _Preview:
    """The proposal. It leaves out the session that the page is used with: whoever ends everything
    wants to see that it is over."""
    organization = scope_of(connection, visitor.person, asked.organization)
    wanted = asked.session_filter(organization, but=visitor.session.id)
    proposed = bulk.propose(
        connection,
        wanted,
        note=None,
        actor=visitor.person.actor,
        now=now,
        random=engine.random,
    )
    sample = _sample(connection, wanted, now)
    return _Preview(number=proposed.number, sample=sample, bulk=proposed)


def _sample(connection: Connection, wanted: SessionFilter, now: Instant) -> tuple[Session, ...]:
    ids = bulk.select_meant(connection, wanted, now, limit=_SAMPLE)
    found = store.read_sessions(connection, ids)
    return tuple(found[one] for one in ids if one in found)


def _chosen(connection: Connection, person: Person, ids: Sequence[str], now: Instant) -> _Preview:
    """Those of these that live and that there are for this administrator, and how many end in all."""
    named = [one for one in dict.fromkeys(ids) if is_id(SESSION, one)][:_CHOSEN_AT_MOST]
    live = [
        one
        for one in store.read_sessions(connection, named).values()
        if end_reason(one, now) is None and person.reaches(one.organization)
    ]
    here = sorted(live, key=lambda one: one.id, reverse=True)
    family = {one.id for one in here} | set(store.children_of(connection, [one.id for one in here]))
    own = tuple(one.id for one in here)
    return _Preview(number=len(family), sample=tuple(here), chosen=own)


async def _ask(
    request: Request,
    visitor: Visitor,
    asked: Asked,
    found: _Preview,
    fields: dict[str, str],
    now: Instant,
    wrong: str | None = None,
) -> Response:
    sample = found.sample[:_SAMPLE]
    database = engine_of(request).database
    names = await in_thread(lambda: database.read(lambda c: names_of(c, sample)))
    return render(
        request,
        "console_preview.html",
        status=422 if wrong else 200,
        person=visitor.person,
        csrf=visitor.csrf,
        number=found.number,
        rows=[row_of(one, names, visitor.session.id, now) for one in sample],
        own=visitor.session.id in found.chosen,
        chosen=found.chosen,
        users=len({(one.organization, one.user) for one in found.sample}),
        bulk=found.bulk,
        words=chips(asked, "/console/sessions", {}),
        organization=asked.organization,
        typing=found.number > UNCONFIRMED_AT_MOST,
        wrong=wrong,
        note=fields.get("note", "")[:_LONGEST_NOTE],
        fields=asked.fields(),
        back=back_to(fields),
    )


def _steps(engine: Engine, bulk_id: str, request: Request) -> tuple[Ended, ...]:
    ended: list[Ended] = []
    for _step in range(_STEPS):
        step = engine.database.write(
            lambda c: bulk.take_step(
                c,
                bulk_id,
                now=engine.clock(),
                random=engine.random,
                origin=origin_of(request, engine.settings),
            )
        )
        engine.count_ended(step.ended)
        ended += step.ended
        if step.bulk.finished_at is not None:
            break
    return tuple(ended)


def _own(connection: Connection, person: Person, bulk_id: str) -> BulkEnd:
    found = bulk.read_bulk_end(connection, bulk_id)
    if found.actor != person.actor:
        raise BulkEndMissing
    return found


def _typed(fields: dict[str, str], number: int) -> bool:
    typed = fields.get("typed", "")
    return "".join(one for one in typed if one not in ",. \u00a0\u202f'") == str(number)


def _note(fields: dict[str, str]) -> str | None:
    return fields.get("note", "").strip()[:_LONGEST_NOTE] or None


def _filter_words(wanted: SessionFilter) -> list[tuple[str, str]]:
    return [
        (gettext(word), str(getattr(wanted, name)))
        for name, word in {"organization": N_("Organization"), **WORDS}.items()
        if isinstance(getattr(wanted, name), str)
    ]


def _with_notice(back: str, notice: str) -> str:
    return f"{back}{'&' if '?' in back else '?'}notice={notice}"
