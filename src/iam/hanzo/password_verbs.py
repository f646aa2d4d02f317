"""Passwords by the verbs of Casdoor: `set-password` and `check-user-password`.

Guesses are counted together with those of sign-ins, whichever way they come. Everybody may ask about their
own, so nobody who waits for a hash keeps a thread from others.
"""

from functools import partial

from sqlalchemy import Connection
from starlette.responses import Response

from iam import audit
from iam.api.schemas import UserPatch
from iam.directory import users
from iam.directory.users import UserChange, read_password_hash
from iam.hanzo.asking import checked, named
from iam.hanzo.call import Call
from iam.hanzo.envelope import Reply, respond
from iam.hanzo.errors import Refused, Told
from iam.hanzo.mfa_verbs import rotated
from iam.hanzo.reach import require_administrator
from iam.hanzo.user_verbs import is_caller, require_user
from iam.hanzo.verbs import Verb, post
from iam.kernel.errors import Throttled
from iam.sessions.lifecycle import Ended
from iam.signin import throttle
from iam.signin.factors import CodeWrong, FactorRequired
from iam.signin.password_change import PasswordChange, PasswordChanged, change_password
from iam.signin.password_sign_in import CredentialsInvalid
from iam.signin.proof import PasswordWrong
from iam.web.engine import in_hash_pool, in_thread

_LONGEST = 1024
_NAMES = {"password": "newPassword"}


async def set_password(call: Call) -> Response:
    """`POST set-password`: `userOwner`, `userName`, `oldPassword`, `newPassword`. One's own needs the old
    one, and ends all other sessions; an administrator's word for somebody else ends all of theirs."""
    owner, name = call.text("userOwner"), call.text("userName")
    if not owner or not name:
        raise Refused("userOwner and userName are needed.")
    mine = is_caller(call, owner, name)
    if not mine:
        require_administrator(call, owner)
    old = call.text("oldPassword")
    new = checked(UserPatch, _NAMES, password=call.text("newPassword")).password
    if mine:
        changed = await _change_own(call, old, new)
        call.engine.count_ended(changed.ended)
        return rotated(call, changed.rotated)
    if old:
        await _prove(call, owner, name, old)
    await _set(call, owner, name, new)
    return respond(Reply())


async def check_user_password(call: Call) -> Reply:
    """`POST check-user-password?id`: ok if `password` is the user's; for administrators and themselves."""
    owner, name = named(call)
    require_user(call, owner, name)
    await _prove(call, owner, name, call.text("password"))
    return Reply()


async def _change_own(call: Call, old: str, new: str) -> PasswordChanged:
    assert call.person is not None  # noqa: S101 - whose own it is
    wanted = PasswordChange(
        holder=call.person.session,
        current=old[:_LONGEST],
        new=new,
        code=call.text("passcode") or None,
        origin=call.origin,
    )
    engine = call.engine
    try:
        work = partial(
            change_password,
            engine.database,
            engine.passwords,
            engine.cipher,
            wanted,
            call.now,
            engine.random,
        )
        return await in_hash_pool(engine, work)
    except FactorRequired as error:
        raise Told("code_needed") from error
    except (PasswordWrong, CodeWrong) as error:
        engine.metrics.sign_ins["failed"] += 1
        raise CredentialsInvalid from error
    except Throttled:
        engine.metrics.sign_ins["throttled"] += 1
        raise


async def _set(call: Call, owner: str, name: str, new: str) -> None:
    engine = call.engine
    hashed = await in_hash_pool(engine, lambda: engine.passwords.hash(new))

    def work(connection: Connection) -> tuple[Ended, ...]:
        change = UserChange(password_hash=hashed)
        _, ended = users.update_user(connection, owner, name, change, **call.cause)
        event = call.event(
            "user.updated", organization=owner, user=name, data={"changed": ["password"]}
        )
        audit.append(connection, [event])
        return ended

    engine.count_ended(await in_thread(lambda: engine.database.write(work)))


async def _prove(call: Call, owner: str, name: str, password: str) -> None:
    """Check somebody's password, in the pool that bounds how many are checked at once.

    Raises:
        CredentialsInvalid: it is not the password, or there is no such user: which of the two is not said.
        Throttled: too many failures; the password was not looked at.
    """
    work = partial(_compare, call, owner, name, password[:_LONGEST])
    await in_hash_pool(call.engine, work)


def _compare(call: Call, owner: str, name: str, password: str) -> None:
    engine, now = call.engine, call.now
    # Not by address: it is that of a back end which asks for everybody.
    key = throttle.account_key(owner, name)

    def look(connection: Connection) -> tuple[int, str | None]:
        return (
            throttle.blocked_for(connection, [key], now),
            read_password_hash(connection, owner, name),
        )

    seconds, stored = engine.database.read(look)
    if seconds:
        engine.metrics.sign_ins["throttled"] += 1
        raise Throttled(seconds)
    if engine.passwords.matches(password, stored):
        engine.database.write(lambda c: throttle.forgive(c, key))
        return

    def fail(connection: Connection) -> None:
        blocked = throttle.count_failure(connection, key, now)
        event = call.event(
            "sign_in.failed",
            organization=owner,
            user=name[:128],
            reason="blocked" if blocked else "credentials",
        )
        audit.append(connection, [event])

    engine.database.write(fail)
    engine.metrics.sign_ins["failed"] += 1
    raise CredentialsInvalid


VERBS: tuple[Verb, ...] = (
    post("set-password", set_password),
    post("check-user-password", check_user_password),
)
