"""`/account/second-factor`: a person adds an authenticator app to their password, and removes it again."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import segno
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.directory.applications import find_application
from iam.directory.users import find_user
from iam.kernel.clock import Instant
from iam.kernel.errors import Throttled
from iam.languages import N_, _, gettext
from iam.sessions.model import BUILT_IN_APPLICATION, BUILT_IN_ORGANIZATION
from iam.signin import enrolment
from iam.signin.enrolment import Change, Changed, Enrolment
from iam.signin.factors import (
    CodeWrong,
    FactorExists,
    FactorMissing,
    FactorRequired,
    find_factor,
    recovery_left,
)
from iam.signin.proof import PasswordWrong, Proof, prove
from iam.signin.totp import enrolment_address
from iam.web.address import origin_of
from iam.web.cookies import set_browser_session
from iam.web.engine import Engine, engine_of, in_hash_pool, in_thread
from iam.web.forms import FormInvalid, read_form
from iam.web.pages import moment, page_errors, render, see_other
from iam.web.visitor import Visitor, posting_visitor, visitor_of

PATH = "/account/second-factor"
_NOTICES = {
    "removed": N_("The second factor is removed. Your password alone signs you in again."),
    "exists": N_("There is a second factor already."),
    "gone": N_("There is no second factor any more."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What a form on this page was sent with, and by whom."""

    request: Request
    engine: Engine
    visitor: Visitor
    fields: Mapping[str, str]
    now: Instant

    @property
    def change(self) -> Change:
        """Whose session it is, and what becomes of their others."""
        return Change(
            holder=self.visitor.session,
            end_others=False,
            origin=origin_of(self.request, self.engine.settings),
        )


@page_errors
async def show_factor(request: Request) -> Response:
    """GET: whether there is one, and the forms for what can be done."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    notice = _NOTICES.get(request.query_params.get("notice", ""))
    return await _page(request, visitor, now, {}, notice=notice)


@page_errors
async def change_factor(request: Request) -> Response:
    """POST: what one of the forms asks for (`do`)."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    deed = _DEEDS.get(fields.get("do", ""))
    if deed is None:
        raise FormInvalid(_("It does not say what to do."))
    asked = _Asked(request=request, engine=engine, visitor=visitor, fields=fields, now=now)
    try:
        return await deed(asked)
    except FactorExists:
        return see_other(f"{PATH}?notice=exists")
    except FactorMissing:
        return see_other(f"{PATH}?notice=gone")


async def _begin(asked: _Asked) -> Response:
    """The password is shown: a secret for the app."""
    engine, me = asked.engine, asked.visitor.session
    proof = await _proof(asked)
    if isinstance(proof, Response):
        return proof
    begun = await in_thread(
        lambda: enrolment.begin(engine.database, engine.cipher, me, proof, asked.now, engine.random)
    )
    return await _enrolment_page(asked, begun)


async def _confirm(asked: _Asked) -> Response:
    """The app has made a code: it is the second factor from now on."""
    engine, fields, sealed = asked.engine, asked.fields, asked.fields.get("sealed", "")
    change = replace(asked.change, end_others="end_others" in fields)

    def work(connection: Connection) -> Changed:
        code = fields.get("code", "")
        return enrolment.enrol(
            connection, engine.cipher, change, sealed, code, asked.now, engine.random
        )

    try:
        changed = await in_thread(lambda: engine.database.write(work))
    except CodeWrong:
        secret, _began = enrolment.unseal(engine.cipher, change.holder, sealed, asked.now)
        words = _("This is not the code that the app should show now. Is your phone's clock right?")
        same = Enrolment(secret=secret, sealed=sealed)
        return await _enrolment_page(asked, same, status=403, error=words)
    return _codes_page(asked, changed, added=True)


async def _renew(asked: _Asked) -> Response:
    proof = await _proof(asked)
    if isinstance(proof, Response):
        return proof
    changed = await _write(asked, lambda c: enrolment.renew(c, asked.change, proof, *_at(asked)))
    return _codes_page(asked, changed, added=False)


async def _remove(asked: _Asked) -> Response:
    proof = await _proof(asked)
    if isinstance(proof, Response):
        return proof
    change = replace(asked.change, end_others="keep" not in asked.fields)
    changed = await _write(asked, lambda c: enrolment.remove(c, change, proof, *_at(asked)))
    asked.engine.count_ended(changed.ended)
    response = see_other(f"{PATH}?notice=removed")
    set_browser_session(response.headers, asked.engine.settings, changed.raised, asked.now)
    return response


_DEEDS: dict[str, Callable[[_Asked], Awaitable[Response]]] = {
    "begin": _begin,
    "confirm": _confirm,
    "renew": _renew,
    "remove": _remove,
}


def _at(asked: _Asked) -> tuple[Instant, Any]:
    return asked.now, asked.engine.random


async def _write(asked: _Asked, work: Callable[[Connection], Changed]) -> Changed:
    return await in_thread(lambda: asked.engine.database.write(work))


async def _proof(asked: _Asked) -> Proof | Response:
    """Who sends this has shown who they are once more; else the page again."""
    engine, fields = asked.engine, asked.fields
    if not fields.get("password"):
        return await _again(asked, 422, "password", _("Enter your password."))
    work = partial(
        prove,
        engine.database,
        engine.passwords,
        engine.cipher,
        asked.visitor.session,
        fields["password"],
        fields.get("code"),
        origin=origin_of(asked.request, engine.settings),
        now=asked.now,
        random=engine.random,
    )
    try:
        return await in_hash_pool(engine, work)
    except PasswordWrong:
        engine.metrics.sign_ins["failed"] += 1
        return await _again(asked, 403, "password", _("This is not your password."))
    except CodeWrong as error:
        engine.metrics.sign_ins["failed"] += 1
        return await _again(asked, 403, "code", gettext(error.title))
    except FactorRequired:
        return await _again(
            asked, 422, "code", _("Enter the code that your authenticator app shows.")
        )
    except Throttled as error:
        engine.metrics.sign_ins["throttled"] += 1
        response = await _again(asked, 429, "password", gettext(error.title))
        response.headers["retry-after"] = str(error.retry_after)
        return response


async def _again(asked: _Asked, status: int, field: str, words: str) -> Response:
    # With the deed that was asked for, so that the words stand at its own field.
    wrong = {field: words, "do": asked.fields.get("do", "")}
    return await _page(asked.request, asked.visitor, asked.now, wrong, status=status)


async def _page(
    request: Request,
    visitor: Visitor,
    now: Instant,
    wrong: Mapping[str, str],
    *,
    notice: str | None = None,
    status: int = 200,
) -> Response:
    engine, me = engine_of(request), visitor.session

    def work(connection: Connection) -> dict[str, Any]:
        user = find_user(connection, me.organization, me.user)
        factor = find_factor(connection, user.id)
        if factor is None:
            return {"factor": None, "has_password": user.has_password}
        used = factor.last_used_at
        return {
            "factor": {
                "added": moment(factor.created_at, now),
                "used": moment(used, now) if used is not None else None,
                "codes": recovery_left(connection, user.id),
            },
            "has_password": user.has_password,
        }

    context = await in_thread(lambda: engine.database.read(work))
    return render(
        request,
        "account_factor.html",
        status=status,
        person=visitor.person,
        csrf=visitor.csrf,
        user=me.user,
        flash={"kind": "success", "text": gettext(notice)} if notice else None,
        wrong=wrong,
        **context,
    )


async def _enrolment_page(
    asked: _Asked, under_way: Enrolment, *, status: int = 200, error: str | None = None
) -> Response:
    me = asked.visitor.session
    own = await in_thread(
        lambda: asked.engine.database.read(
            lambda c: find_application(c, BUILT_IN_ORGANIZATION, BUILT_IN_APPLICATION)
        )
    )
    secret = under_way.secret
    address = enrolment_address(secret, f"{me.organization}/{me.user}", own.display_name)
    return render(
        asked.request,
        "account_factor_add.html",
        status=status,
        person=asked.visitor.person,
        csrf=asked.visitor.csrf,
        qr=_qr(address),
        secret=" ".join(secret[first : first + 4] for first in range(0, len(secret), 4)),
        sealed=under_way.sealed,
        error=error,
    )


def _qr(address: str) -> str:
    """Dark on light whatever the page's colours: apps read no other."""
    code = segno.make(address, micro=False, error="m")
    return code.svg_inline(
        border=4, dark="#000", light="#fff", omitsize=True, svgclass=None, lineclass=None
    )


def _codes_page(asked: _Asked, changed: Changed, *, added: bool) -> Response:
    asked.engine.count_ended(changed.ended)
    # The page belongs to the session's new token already: a form on it must.
    visitor = Visitor(asked.visitor.person, changed.raised.token)
    response = render(
        asked.request,
        "account_factor_codes.html",
        person=visitor.person,
        csrf=visitor.csrf,
        codes=changed.recovery_codes,
        added=added,
    )
    set_browser_session(response.headers, asked.engine.settings, changed.raised, asked.now)
    return response
