"""Second factors by the verbs of Casdoor: `mfa/setup/initiate`, `verify`, `enable`, `set-preferred-mfa`,
`delete-mfa`. There is one kind, the authenticator app (`app`).

Whoever sets up their own shows the password, as on our pages: by a token alone, whoever stole it could. An
administrator, or an application that manages the organization, may do it for a user whose password they
could as well set; all the user's sessions end then.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection
from starlette.responses import Response

from iam.directory.applications import find_application
from iam.directory.names import UserMissing
from iam.directory.users import find_user
from iam.hanzo.browser import keep_session
from iam.hanzo.call import Call
from iam.hanzo.envelope import Reply, affected, respond
from iam.hanzo.errors import Refused, Told
from iam.hanzo.reach import require_administrator
from iam.hanzo.user_verbs import is_caller, require_user
from iam.hanzo.verbs import Verb, post
from iam.kernel.errors import IamError, Throttled
from iam.sessions import rules
from iam.sessions.lifecycle import Ended, Started
from iam.sessions.model import BUILT_IN_APPLICATION, BUILT_IN_ORGANIZATION, LiveRow
from iam.signin import enrolment, stepwise
from iam.signin.enrolment import Change, Changed, remove_by_administrator
from iam.signin.factors import CodeWrong, FactorExists, FactorMissing, FactorRequired, find_factor
from iam.signin.password_sign_in import CredentialsInvalid
from iam.signin.proof import PasswordWrong, Proof, confirm, prove
from iam.signin.totp import enrolment_address
from iam.web.cookies import device_secret
from iam.web.engine import in_hash_pool, in_thread

Result = TypeVar("Result")

APP = "app"
_LONGEST = 1024
_SHOW_FIRST = (
    "One's own second factor takes the password as well, as password in this request;"
    " or use the pages about oneself, under /account."
)
_BY_SESSION = "This takes a sign-in of one's own: use the pages about oneself, under /account."


async def initiate(call: Call) -> Reply:
    """`POST mfa/setup/initiate`: `owner`, `name`, `mfaType`; and `password`, where it is one's own. Answers
    the secret and the recovery codes, this once."""
    owner, name = _whose(call)
    _check_kind(call)
    if not is_caller(call, owner, name):
        require_administrator(call, owner)
        return await in_thread(lambda: _begin(call, owner, name, None))
    _holder(call)
    if not call.text("password"):
        raise Refused(_SHOW_FIRST)
    proof = await _prove(call, None, FactorExists())
    return await in_thread(lambda: _begin(call, owner, name, proof))


def verify(call: Call) -> Reply:
    """`POST mfa/setup/verify`: `passcode` is what the app shows now."""
    owner, name = _permitted(call)

    def work(connection: Connection) -> None:
        user = find_user(connection, owner, name)
        code, secret = call.text("passcode"), _secret(call)
        stepwise.verify(connection, call.engine.cipher, user, _by(call), code, call.now, secret)

    _tried(lambda: call.engine.database.write(work))
    return Reply()


def enable(call: Call) -> Response:
    """`POST mfa/setup/enable`: the factor counts from now on. One's own session is raised by it, all others
    end."""
    owner, name = _permitted(call)
    engine, cause = call.engine, call.cause
    if is_caller(call, owner, name):
        change = Change(holder=_holder(call), end_others=True, origin=call.origin)

        def mine(connection: Connection) -> Changed:
            user = find_user(connection, owner, name)
            return stepwise.enable(
                connection,
                engine.cipher,
                user,
                _by(call),
                change,
                call.now,
                engine.random,
                _secret(call),
            )

        changed = _tried(lambda: engine.database.write(mine))
        engine.count_ended(changed.ended)
        return rotated(call, changed.raised)

    def theirs(connection: Connection) -> tuple[Ended, ...]:
        user = find_user(connection, owner, name)
        return stepwise.enable_for(
            connection,
            engine.cipher,
            user,
            _by(call),
            origin=call.origin,
            secret=_secret(call),
            **cause,
        )

    engine.count_ended(_tried(lambda: engine.database.write(theirs)))
    return respond(Reply())


def set_preferred(call: Call) -> Reply:
    """`POST set-preferred-mfa`: there is one kind, which is preferred wherever it is set up."""
    owner, name = _whose(call)
    _check_kind(call)
    require_user(call, owner, name)

    def work(connection: Connection) -> bool:
        return find_factor(connection, find_user(connection, owner, name).id) is not None

    if not _tried(lambda: call.engine.database.read(work)):
        raise FactorMissing
    return Reply(data=[_kind(enabled=True)])


async def delete(call: Call) -> Response:
    """`POST delete-mfa?owner&name`: for who has lost it. An administrator's word ends all their sessions, and
    the password alone signs them in again; one's own takes `password` and `passcode`."""
    owner, name = _whose(call)
    if is_caller(call, owner, name):
        return await _delete_own(call)
    require_administrator(call, owner)

    def work(connection: Connection) -> tuple[bool, tuple[Ended, ...]]:
        try:
            return True, remove_by_administrator(
                connection, owner, name, origin=call.origin, **call.cause
            )
        except (FactorMissing, UserMissing):
            return False, ()

    found, ended = await in_thread(lambda: call.engine.database.write(work))
    call.engine.count_ended(ended)
    return respond(affected(found))


async def _delete_own(call: Call) -> Response:
    holder, engine = _holder(call), call.engine
    if not call.text("password"):
        raise Refused(_SHOW_FIRST)
    proof = await _prove(call, call.text("passcode") or None, Told("code_needed"))
    change = Change(holder=holder, end_others=True, origin=call.origin)
    if proof.factor is None:
        return respond(affected(False))

    def work(connection: Connection) -> Changed:
        return enrolment.remove(connection, change, proof, call.now, engine.random)

    changed = await in_thread(lambda: engine.database.write(work))
    engine.count_ended(changed.ended)
    return rotated(call, changed.raised, affected(True))


def rotated(call: Call, started: Started, reply: Reply | None = None) -> Response:
    """An answer to somebody whose own session has a new token: a browser gets its cookies, and whoever
    showed the token itself the next one, in `data2`. Nobody gets one for an access token, which is worth
    less."""
    engine, shown, reply = call.engine, call.shown, reply or Reply()
    if shown.by_cookie:
        response = respond(reply)
        device = device_secret(call.request, engine.settings, engine.random)
        keep_session(response.headers, engine, call.request, started, call.now, device)
        return response
    token = started.token if shown.access_token is None else None
    return respond(Reply(data=reply.data, data2=token))


def _whose(call: Call) -> tuple[str, str]:
    """Whom it is about: one user, however often they are named."""
    owner, name = call.either("owner"), call.either("name")
    if not owner or not name:
        raise Refused("owner and name are needed.")
    if (call.text("owner") or owner, call.text("name") or name) != (owner, name):
        raise Refused("The query and the body name different objects.")
    return owner, name


def _permitted(call: Call) -> tuple[str, str]:
    owner, name = _whose(call)
    _check_kind(call)
    if is_caller(call, owner, name):
        _holder(call)
    else:
        require_administrator(call, owner)
    return owner, name


def _check_kind(call: Call) -> None:
    if call.text("mfaType") not in ("", APP):
        raise Told("factor_kind")


def _holder(call: Call) -> LiveRow:
    """The session of somebody who does this for themselves: one that they signed in with, and no
    application was handed."""
    person = call.person
    if person is None or person.session.parent is not None or call.shown.access_token is not None:
        raise Refused(_BY_SESSION)
    return person.session


def _by(call: Call) -> str:
    """Who goes on with what they began: the same session, or the same application."""
    return call.person.session.id if call.person is not None else str(call.actor)


def _secret(call: Call) -> str | None:
    return call.text("secret") or None


def _tried(work: Callable[[], Result]) -> Result:
    """What comes of it; a user who is not there is told as any other refusal, to who may know."""
    try:
        return work()
    except UserMissing as error:
        raise Refused(error.title) from error


def _begin(call: Call, owner: str, name: str, proof: Proof | None) -> Reply:
    engine = call.engine

    def work(connection: Connection) -> tuple[stepwise.Begun, str]:
        rules.share_rules(connection, owner)
        user = find_user(connection, owner, name)
        if proof is not None:
            if proof.factor is not None:
                raise FactorExists
            confirm(connection, _holder(call), proof)
        begun = stepwise.begin(connection, engine.cipher, user, _by(call), call.now, engine.random)
        server = find_application(connection, BUILT_IN_ORGANIZATION, BUILT_IN_APPLICATION)
        return begun, server.display_name

    begun, issuer = _tried(lambda: engine.database.write(work))
    told = {
        "secret": begun.secret,
        "url": enrolment_address(begun.secret, f"{owner}/{name}", issuer),
        "recoveryCodes": list(begun.recovery_codes),
    }
    return Reply(data=_kind(enabled=False) | told)


def _kind(*, enabled: bool) -> dict[str, Any]:
    return {"enabled": enabled, "isPreferred": enabled, "mfaType": APP, "mfaRememberInHours": 0}


async def _prove(call: Call, code: str | None, without: IamError) -> Proof:
    """Check the caller's password and code, in the pool that bounds how many are checked at once.

    Raises:
        CredentialsInvalid, Throttled: as at sign-in.
        IamError: `without`, if the password is right and a code is needed as well.
    """
    engine = call.engine
    work = partial(
        prove,
        engine.database,
        engine.passwords,
        engine.cipher,
        _holder(call),
        call.text("password")[:_LONGEST],
        code,
        origin=call.origin,
        now=call.now,
        random=engine.random,
    )
    try:
        return await in_hash_pool(engine, work)
    except FactorRequired as error:
        raise without from error
    except (PasswordWrong, CodeWrong) as error:
        engine.metrics.sign_ins["failed"] += 1
        raise CredentialsInvalid from error
    except Throttled:
        engine.metrics.sign_ins["throttled"] += 1
        raise


VERBS: tuple[Verb, ...] = (
    post("mfa/setup/initiate", initiate),
    post("mfa/setup/verify", verify),
    post("mfa/setup/enable", enable),
    post("set-preferred-mfa", set_preferred),
    post("delete-mfa", delete),
)
