"""Authorization requests that were pushed beforehand (RFC 9126): kept until somebody has answered them."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select, update

from iam.db.token_tables import pushed_request as table
from iam.kernel.clock import Instant, after
from iam.kernel.errors import Invalid
from iam.kernel.secrets import Random, hash_secret, make_secret

LIFETIME = 9 * 60
"""Seconds: time enough to sign in (FAPI 2.0 §5.3.2.2 wants less than ten minutes)."""
_PREFIX = "urn:ietf:params:oauth:request_uri:"
_ANEW = ("prompt", "max_age")


class PushedRequestUnknown(Invalid):
    """A `request_uri` that names no request of this application, or none any more."""

    code = "request_uri_unknown"
    title = "This request is not known here, or it is too old. Go back to the application and try again."


def push(
    connection: Connection, client_id: str, parameters: dict[str, str], now: Instant, random: Random
) -> str:
    """Keep a request; answer its `request_uri`, which nobody can guess."""
    secret = make_secret(random)
    connection.execute(
        insert(table),
        {
            "uri_hash": hash_secret(secret),
            "client_id": client_id,
            "parameters": parameters,
            "expires_at": after(now, LIFETIME),
        },
    )
    return _PREFIX + secret


def take_up(
    connection: Connection,
    parameters: Mapping[str, str],
    now: Instant,
    *,
    since: str,
    chosen: str,
) -> tuple[dict[str, str], dict[str, str]] | None:
    """The parameters that were pushed, and those with which a browser comes back to them; None if these
    parameters refer to no pushed request.

    What is beside `request_uri` counts for nothing (§4), but for our own: who comes back from sign-in
    (`since`) has done what `prompt` and `max_age` asked for, and who has `chosen` an account is asked no
    more which it is.

    Raises:
        PushedRequestUnknown: unknown, too old, used up, or another application's.
    """
    uri = parameters.get("request_uri", "")
    if not uri.startswith(_PREFIX):
        return None
    query = select(table).where(table.c.uri_hash == hash_secret(uri.removeprefix(_PREFIX)))
    row = connection.execute(query).one_or_none()
    if row is None or row.expires_at <= now or row.client_id != parameters.get("client_id"):
        raise PushedRequestUnknown
    pushed = dict(row.parameters)
    again = {"client_id": row.client_id, "request_uri": uri}
    if since in parameters:
        pushed = {name: value for name, value in pushed.items() if name not in _ANEW}
        pushed[since] = again[since] = parameters[since]
    if chosen in parameters:
        kept = [one for one in pushed.get("prompt", "").split() if one != "select_account"]
        pushed = {
            name: value for name, value in pushed.items() if name not in ("prompt", "login_hint")
        }
        pushed |= {"prompt": " ".join(kept)} if kept else {}
        pushed[chosen] = again[chosen] = parameters[chosen]
    return pushed, again


def drop_prompt(connection: Connection, request_uri: str, prompt: str) -> None:
    """Note that what this prompt asks for has been done."""
    key = hash_secret(request_uri.removeprefix(_PREFIX))
    here = table.c.uri_hash == key
    row = connection.execute(select(table).where(here).with_for_update()).one_or_none()
    if row is None:
        return
    kept = [one for one in row.parameters.get("prompt", "").split() if one != prompt]
    parameters = {name: value for name, value in row.parameters.items() if name != "prompt"}
    parameters |= {"prompt": " ".join(kept)} if kept else {}
    connection.execute(update(table).where(here).values(parameters=parameters))


def use_up(connection: Connection, request_uri: str) -> bool:
    """Use a request up, as its code is issued; False if another code was faster."""
    key = hash_secret(request_uri.removeprefix(_PREFIX))
    return connection.execute(delete(table).where(table.c.uri_hash == key)).rowcount == 1


def purge(connection: Connection, now: Instant) -> int:
    """Forget what nobody has answered in time; answer how many."""
    return connection.execute(delete(table).where(table.c.expires_at <= now)).rowcount
