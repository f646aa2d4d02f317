"""`/console/keys`: what the installation signs with, what it will sign with next, and the change of it."""

from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.console.asking import Asked, Question, ask_first, asked_by, notice_of, recently
from iam.console.scope import require_console
from iam.kernel.clock import Instant, from_iso
from iam.kernel.errors import Forbidden
from iam.keys import load_keys, load_saml_keys, signer
from iam.keys.rotation import rotate, rotate_saml
from iam.keys.saml import SamlKey
from iam.keys.signing import ALGORITHMS, SigningKey, in_order
from iam.languages import N_, _
from iam.web.caller import Person
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.pages import moment, page_errors, render, see_other
from iam.web.rights import Right
from iam.web.visitor import visitor_of

PATH = "/console/keys"
SAML_AHEAD, SAML_KEPT = 14, 30
"""Days for which a new SAML certificate is only published, and a former one still is."""
_DAY = 24 * 60 * 60
_NOTICES = {
    "rotated": N_("New keys are published. They sign a quarter of an hour from now, on all nodes."),
    "saml": N_(
        "New SAML keys are published. The new one signs in %(days)s days: until then "
        "applications and providers that keep our certificate have to take it."
    ),
    "replaced": N_("New keys sign from now on, and the former ones are forgotten."),
}


@page_errors
async def show_keys(request: Request) -> Response:
    """GET: all keys, without their private halves."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person = _of_installation(require_console(visitor, Right.READ))

    def work(connection: Connection) -> dict[str, Any]:
        known = load_keys(connection, engine.cipher)
        saml = load_saml_keys(connection, engine.cipher, now, None)
        return {
            "keys": _signing_rows(known, engine, now),
            "saml_keys": _saml_rows(saml, now),
        }

    context = await in_thread(lambda: engine.database.read(work))
    return render(
        request,
        "console_keys.html",
        person=person,
        csrf=visitor.csrf,
        here=PATH,
        days=engine.settings.key_rotation,
        flash=notice_of(request, _NOTICES, days=SAML_AHEAD),
        **context,
    )


@page_errors
async def change_keys(request: Request) -> Response:
    """POST: make new signing keys; with `do=replace` they sign at once, and the former ones are forgotten."""
    asked = await asked_by(request)
    cause, engine = asked.cause, asked.engine
    if not cause.person.administers_installation:
        raise Forbidden(_("This needs an administrator of the installation."))
    at_once = asked.fields.get("do") == "replace"
    if at_once and not asked.fields.get("confirmed"):
        text = _(
            "Only if somebody else may have the keys: every token that was signed so far is refused from "
            "now on, and applications that keep our keys have to fetch the new ones."
        )
        question = Question(
            title=_("Replace the keys at once?"), text=text, label=_("Replace at once")
        )
        return ask_first(request, asked, question, PATH)
    if asked.fields.get("do") == "saml":
        return await _rotate_saml(request, asked)
    what, about = _("Make new keys"), _("You wanted to have new signing keys made.")
    if at_once:
        what = _("Replace the keys at once")
        about = _("You wanted to replace the signing keys at once.")
    await recently(request, asked, what, about, PATH)
    await in_thread(
        lambda: rotate(
            engine.database,
            engine.cipher,
            at_once=at_once,
            actor=cause.person.actor,
            now=cause.now,
            random=cause.random,
        )
    )
    return see_other(f"{PATH}?notice={'replaced' if at_once else 'rotated'}")


async def _rotate_saml(request: Request, asked: Asked) -> Response:
    cause, engine = asked.cause, asked.engine
    about = _("You wanted to have new SAML keys made.")
    await recently(request, asked, _("Make new SAML keys"), about, PATH)
    await in_thread(
        lambda: rotate_saml(
            engine.database,
            engine.cipher,
            engine.settings.issuer,
            ahead=SAML_AHEAD * _DAY,
            kept=SAML_KEPT * _DAY,
            actor=cause.person.actor,
            now=cause.now,
            random=cause.random,
        )
    )
    return see_other(f"{PATH}?notice=saml")


def _of_installation(person: Person) -> Person:
    if not person.reaches_installation:
        raise Forbidden(_("Keys belong to the installation."))
    return person


def _signing_rows(
    known: tuple[SigningKey, ...], engine: Engine, now: Instant
) -> list[dict[str, Any]]:
    ordered = in_order(known, now)
    signing = {signer(ordered, one).id for one in ALGORITHMS}
    return [
        {
            "id": one.id,
            "algorithm": one.algorithm,
            "state": "signs"
            if one.id in signing
            else "next"
            if one.active_at > now
            else "verifies",
            "created": moment(one.created_at, now),
            "active": moment(one.active_at, now),
        }
        for one in ordered
    ]


def _saml_rows(known: Sequence[SamlKey], now: Instant) -> list[dict[str, Any]]:
    in_use: set[str] = set()
    rows = []
    for one in known:
        state = "next"
        if one.active_at <= now:
            state = "former" if one.use in in_use else one.use
            in_use.add(one.use)
        rows.append(_saml_row(one, state, now))
    return sorted(rows, key=lambda row: str(row["use"]), reverse=True)


def _saml_row(key: SamlKey, state: str, now: Instant) -> dict[str, Any]:
    certificate = x509.load_pem_x509_certificate(key.certificate.encode())
    return {
        "id": key.id,
        "use": key.use,
        "state": state,
        "active": moment(key.active_at, now),
        "retires": None if key.retires_at is None else moment(key.retires_at, now),
        "fingerprint": certificate.fingerprint(SHA256()).hex(":").upper(),
        "certificate": key.certificate,
        "until": moment(from_iso(certificate.not_valid_after_utc.isoformat()), now),
    }
