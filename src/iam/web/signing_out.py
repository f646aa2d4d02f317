"""Signing out, as every door does it: the browser session ends with all that was entered from it,
and the browser forgets what it kept of us."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.delivery.logouts import frames_of
from iam.directory.brands import NO_BRAND
from iam.kernel.clock import Instant
from iam.kernel.events import Actor
from iam.sessions import lifecycle
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason
from iam.web.accounts import Account, Held, hold, shown, tidy
from iam.web.address import origin_of
from iam.web.brand_files import PageBrand, brand_context, brand_of
from iam.web.caller import Person
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.pages import render, see_other
from iam.web.provider_onward import provider_onward
from iam.web.saml_onward import saml_onward
from iam.web.targets import host_target
from iam.web.visitor import forget_site


@dataclass(frozen=True, slots=True)
class Left:
    """What a sign-out ended, and what the browser is to load for it (front-channel logout)."""

    ended: tuple[Ended, ...] = ()
    frames: tuple[str, ...] = ()
    saml: str | None = None
    """Where the browser goes on to, to tell SAML applications; it leads on to where `sign_out` was told."""
    provider: str | None = None
    """Where it goes on to, to sign out at the provider by which the session was born; the same of that."""
    provider_name: str = ""
    brand: PageBrand | None = None
    """Of the organization whose user signed out, where somebody has."""


async def sign_out(
    request: Request,
    actor: Actor,
    now: Instant,
    *session_ids: str,
    onward: str | None = None,
    onward_name: str = "",
) -> Left:
    """End these sessions of one person with their children.

    Args:
        onward: where the browser is to be led in the end, an address that was checked; `onward_name` is
            whose it is.
    """
    engine = engine_of(request)

    def work(connection: Connection) -> Left:
        ended = lifecycle.end(
            connection,
            session_ids,
            reason=EndReason.SIGNED_OUT,
            actor=actor,
            now=now,
            random=engine.random,
            origin=origin_of(request, engine.settings),
        )
        left = _left(connection, engine, ended, now, onward, onward_name)
        return replace(left, brand=_brand(connection, ended))

    left = await in_thread(lambda: engine.database.write(work))
    engine.count_ended(left.ended)
    return left


async def sign_out_all(request: Request, accounts: Sequence[Account], now: Instant) -> Left:
    """End these browser sessions, each by its own user, with their children."""
    engine = engine_of(request)

    def work(connection: Connection) -> Left:
        ended = tuple(
            one
            for account in sorted(accounts, key=lambda account: account.row.id)
            for one in lifecycle.end(
                connection,
                [account.row.id],
                reason=EndReason.SIGNED_OUT,
                actor=Person(account.row).actor,
                now=now,
                random=engine.random,
                origin=origin_of(request, engine.settings),
            )
        )
        return _left(connection, engine, ended, now, None, "")

    left = await in_thread(lambda: engine.database.write(work))
    engine.count_ended(left.ended)
    return left


async def left_by(request: Request, ended: tuple[Ended, ...], now: Instant) -> Left:
    """What the browser is to do for sessions of its own that have ended among others."""
    engine = engine_of(request)

    def work(connection: Connection) -> Left:
        left = _left(connection, engine, ended, now, None, "")
        return replace(left, brand=_brand(connection, ended))

    return await in_thread(lambda: engine.database.write(work))


def _brand(connection: Connection, ended: tuple[Ended, ...]) -> PageBrand:
    return brand_of(connection, next((one.session.organization for one in ended), None))


def _left(
    connection: Connection,
    engine: Engine,
    ended: tuple[Ended, ...],
    now: Instant,
    onward: str | None,
    onward_name: str,
) -> Left:
    ids = [one.session.id for one in ended]
    if not ids:
        return Left()
    frames = frames_of(connection, ids, engine.settings.issuer)
    there = provider_onward(connection, engine, ids, now, onward, onward_name)
    address, name = there or (onward, onward_name)
    further = saml_onward(connection, ended, now, engine.random, onward=address, onward_name=name)
    if there is None or further is not None:
        return Left(ended, frames, further)
    return Left(ended, frames, None, *there)


async def signed_out_page(
    request: Request,
    left: Left,
    *,
    onward: str | None = None,
    onward_name: str = "",
    leading: bool = False,
) -> Response:
    """What somebody sees who has just signed out; the browser forgets it as well. Whoever is still signed in
    with other accounts is shown them.

    Args:
        onward: where a link leads on to, an address that was checked; `onward_name` is whose it is.
        leading: the page goes on there by itself, when its frames have loaded or after some seconds.
    """
    engine, now = engine_of(request), engine_of(request).clock()
    held = await hold(engine, request, now)
    origins = [host_target(*urlsplit(one)[:2]) for one in left.frames]
    response = render(
        request,
        "signed_out.html",
        frame_sources=tuple(dict.fromkeys(one for found in origins for one in found)),
        applications=sum(1 for one in left.ended if not one.session.is_browser_session),
        frames=left.frames,
        onward=onward,
        onward_name=onward_name,
        leading=leading,
        saml_onward=left.saml,
        saml_partial=False,
        provider_onward=left.provider,
        provider_name=left.provider_name,
        brand=left.brand or brand_context(None, NO_BRAND),
        accounts=[shown(one) for one in held.living],
        who=_who(left, held),
        csrf=held.csrf,
    )
    further = left.saml or left.provider
    if further is not None:
        # Not a redirect: browsers hold those that follow a form against its page's form-action. The
        # frames get their time first.
        response.headers["refresh"] = f"{3 if left.frames else 1}; url={further}"
    _forget(response, request, held, now)
    return response


def _who(left: Left, held: Held) -> str | None:
    """Whose session has ended, where others of this browser go on: else it is nobody's question."""
    ended = [one.session for one in left.ended if one.session.is_browser_session]
    if len(ended) != 1 or not held.living:
        return None
    return ended[0].identity.display_name or ended[0].user


def _forget(response: Response, request: Request, held: Held, now: Instant) -> None:
    """Have the browser forget what is over; not the accounts that it goes on with."""
    engine = engine_of(request)
    tidy(response.headers, request, engine.settings, held, now)
    forget_site(response.headers, engine)


async def signed_out_onward(
    request: Request, left: Left, *, onward: str, onward_name: str = ""
) -> Response:
    """Lead somebody who has just signed out on to an address that was checked: the one that `sign_out` was
    told."""
    if left.saml is not None or left.provider is not None:
        return await signed_out_page(request, left)
    if left.frames:
        return await signed_out_page(
            request, left, onward=onward, onward_name=onward_name, leading=True
        )
    engine, now = engine_of(request), engine_of(request).clock()
    response = see_other(onward)
    _forget(response, request, await hold(engine, request, now), now)
    return response
