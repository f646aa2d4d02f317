"""A month in the life of two tenants: so much that every page has something to show."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from iam import audit
from iam.db import Database
from iam.delivery.webhooks import create_webhook
from iam.directory.applications import create_application
from iam.directory.organizations import create_organization
from iam.directory.providers import NewProvider, add_link, create_provider
from iam.directory.users import ADMINISTRATOR, create_user, find_user
from iam.kernel.clock import Instant, after
from iam.kernel.events import SYSTEM, Event, Origin, user_actor
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import system_random
from iam.sessions import lifecycle, touch
from iam.sessions.lifecycle import NewSession
from iam.sessions.model import BUILT_IN_APPLICATION, EndReason
from iam.sessions.policy import strictest
from iam.signin.devices import device_label

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_POLICY = strictest([])
PEOPLE = {
    "alice": "Alice Moreau",
    "bob": "Bob Tanaka",
    "carla": "Carla Okafor",
    "dmitri": "Dmitri Halvorsen",
    "elena.ruiz": "Elena Ruiz",
    "farid": "Farid Aziz",
    "grace": "Grace Lindqvist",
    "hana@acme.example": "Hana Novák",
    "ivan": "Ivan Petrov",
    "joao": "João Almeida",
    "kim": "Kim Seo-yeon",
    "lotte": "Lotte de Vries",
}
APPLICATIONS = {
    "wiki": "Wiki",
    "shop": "Shop",
    "payroll": "Payroll",
    "desk": "Customer desk",
    "builds": "Build runners",
}
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/143.0.0.0 Safari/537.36"
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/18.1 Safari/605.1.15"
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
    ),
    (
        "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/143.0.0.0 Mobile Safari/537.36"
    ),
)
_NETS = ("203.0.113", "198.51.100")
_METHODS = (("pwd",), ("pwd",), ("pwd", "otp"), ("swk",))


def _providers(connection: Connection, now: Instant) -> None:
    """Two ways of signing in besides the password, one of which alice uses."""
    alice = find_user(connection, "acme", "alice")
    for name, shown, preset in (("github", "GitHub", "github"), ("google", "Google", "google")):
        new = NewProvider(
            kind="oauth2", display_name=shown, options={"preset": preset, "client_id": "iam"}
        )
        made = create_provider(connection, "acme", name, new, now=now, random=system_random)
        if name == "github":
            add_link(connection, made.id, "583231", alice.id, now)


@dataclass
class _Month:
    """What is to happen, each with its instant; done in that order."""

    now: Instant
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    todo: list[tuple[Instant, Callable[[Connection], None]]] = field(default_factory=list)

    def at(self, instant: Instant, what: Callable[[Connection], None]) -> None:
        if instant <= self.now:
            self.todo.append((instant, what))


def fill(database: Database, password_hash: str, now: Instant, *, days: int = 30) -> None:
    """Fill an installation that has been prepared; everybody's password is the one with this hash."""
    month = _Month(now)
    born = after(now, -(days + 1) * _DAY)
    database.write(lambda c: _people(c, password_hash, born))
    for day in range(days, -1, -1):
        _one_day(month, after(now, -day * _DAY), 9 if day % 7 in (1, 2) else 24)
    for name in ("alice", "carla", "elena.ruiz", "hana@acme.example", "joao", "kim"):
        _at_work_now(month, name)
    for number in range(3):
        _service(month, f"runner-{number + 1}", after(now, -(number + 1) * 20 * _MINUTE))

    def work(connection: Connection) -> None:
        for _, what in sorted(month.todo, key=lambda one: one[0]):
            what(connection)
        _notices(connection)

    database.write(work)


def _people(connection: Connection, password_hash: str, now: Instant) -> None:
    for name, shown in (("acme", "Acme Corporation"), ("globex", "Globex")):
        create_organization(connection, name, shown, now)
    for organization, name, shown, roles in (
        *(
            ("acme", n, shown, [ADMINISTRATOR] if n == "alice" else [])
            for n, shown in PEOPLE.items()
        ),
        ("acme", "build-bot", "Build bot", ["service"]),
        ("globex", "eve", "Eve Laurent", [ADMINISTRATOR]),
    ):
        create_user(
            connection,
            organization=organization,
            name=name,
            password_hash=password_hash if name != "build-bot" else None,
            display_name=shown,
            email=name if "@" in name else f"{name}@{organization}.example",
            roles=roles,
            now=now,
            random=system_random,
        )
    _providers(connection, now)
    for name, shown in APPLICATIONS.items():
        create_application(
            connection,
            organization="acme",
            name=name,
            display_name=shown,
            redirect_uris=[f"https://{name}.acme.example/callback"],
            gate_hosts=["docs.acme.example"] if name == "wiki" else [],
            now=now,
            random=system_random,
        )
    for path, types in (("audit", ["*"]), ("sessions", ["session.ended"])):
        create_webhook(
            connection,
            organization="acme",
            url=f"https://hooks.acme.example/{path}",
            event_types=types,
            now=now,
            random=system_random,
        )


def _one_day(month: _Month, start: Instant, sign_ins: int) -> None:
    dice, names = month.dice, list(PEOPLE)
    for _ in range(sign_ins):
        # Most of it between eight and eighteen.
        minute = int(dice.triangular(0, 24 * 60, 13 * 60))
        _stay(month, dice.choice(names), after(start, (minute - 24 * 60) * _MINUTE))
    for _ in range(dice.randrange(5)):
        minute = dice.randrange(24 * 60)
        _fail(month, dice.choice(names), after(start, (minute - 24 * 60) * _MINUTE))


def _stay(month: _Month, name: str, begin: Instant) -> None:
    """Somebody signs in, enters some applications, and goes in one of the ways there are."""
    dice = month.dice
    agent, amr = dice.choice(_AGENTS), dice.choice(_METHODS)
    origin = _from(f"{dice.choice(_NETS)}.{dice.randrange(2, 250)}", agent)
    wanted = dice.sample(list(APPLICATIONS)[:4], dice.randrange(4))
    held: list[str] = []

    def sign_in(connection: Connection) -> None:
        held.append(_start(connection, name, BUILT_IN_APPLICATION, None, begin, origin, amr))

    def enter(application: str, at: Instant) -> Callable[[Connection], None]:
        return lambda c: held.append(_start(c, name, application, held[0], at, origin, amr))

    month.at(begin, sign_in)
    at = begin
    for application in wanted:
        at = after(at, dice.randrange(1, 9) * _MINUTE)
        month.at(at, enter(application, at))
    over, reason, actor = dice.choices(
        (
            (dice.randrange(10, 29) * _MINUTE, EndReason.SIGNED_OUT, user_actor("acme", name)),
            (
                dice.randrange(12, 29) * _MINUTE,
                EndReason.ENDED_BY_ADMIN,
                user_actor("acme", "alice"),
            ),
            (dice.randrange(12, 29) * _MINUTE, EndReason.ENDED_BY_USER, user_actor("acme", name)),
            (31 * _MINUTE, EndReason.IDLE, SYSTEM),
        ),
        (5, 1, 1, 4),
    )[0]
    gone = after(at, over)

    def end(connection: Connection) -> None:
        how = {"reason": reason, "actor": actor, "now": gone, "random": system_random}
        lifecycle.end(connection, [held[0]], origin=origin, **how)  # type: ignore[arg-type]  # of several types

    month.at(gone, end)


def _at_work_now(month: _Month, name: str) -> None:
    dice, now = month.dice, month.now
    begin = after(now, -dice.randrange(40, 300) * _MINUTE)
    agent, amr = dice.choice(_AGENTS), dice.choice(_METHODS)
    origin = _from(f"203.0.113.{dice.randrange(2, 250)}", agent)

    def work(connection: Connection) -> None:
        browser = _start(connection, name, BUILT_IN_APPLICATION, None, begin, origin, amr)
        entered = dice.sample(list(APPLICATIONS)[:4], dice.randrange(1, 4))
        kept = [
            browser,
            *(_start(connection, name, one, browser, begin, origin, amr) for one in entered),
        ]
        seen = after(now, -dice.randrange(1, 25) * _MINUTE)
        # As if they had been at it all the time.
        values = {"at": seen, "ids": json.dumps(kept)}
        connection.execute(
            text(
                "UPDATE session SET last_active_at = :at WHERE id IN (SELECT value FROM json_each(:ids))"
            )
            if connection.dialect.name == "sqlite"
            else text(
                "UPDATE session SET last_active_at = :at WHERE id IN "
                "(SELECT json_array_elements_text(CAST(:ids AS json)))"
            ),
            values,
        )

    month.at(begin, work)


def _service(month: _Month, instance: str, begin: Instant) -> None:
    def work(connection: Connection) -> None:
        person = find_user(connection, "acme", "build-bot")
        new = NewSession(
            organization="acme",
            user="build-bot",
            application="builds",
            identity=person.identity,
            origin=_from("10.4.0.12", "python-httpx/0.28"),
            instance=instance,
            metadata={"region": "eu-central", "queue": 3},
        )
        started = lifecycle.start(
            connection,
            new,
            _POLICY,
            actor=user_actor("acme", "build-bot"),
            now=begin,
            random=system_random,
        )
        touch.write_touches(connection, {started.session.id: after(month.now, -_MINUTE)}, begin)

    month.at(begin, work)


def _start(
    connection: Connection,
    name: str,
    application: str,
    parent: str | None,
    at: Instant,
    origin: Origin,
    amr: tuple[str, ...],
) -> str:
    person = find_user(connection, "acme", name)
    new = NewSession(
        organization="acme",
        user=name,
        application=application,
        identity=person.identity,
        parent=parent,
        authenticated_at=at,
        amr=amr,
        origin=origin,
        device=device_label(origin.user_agent),
    )
    actor = user_actor("acme", name)
    started = lifecycle.start(connection, new, _POLICY, actor=actor, now=at, random=system_random)
    if parent is None:
        _event(connection, "sign_in.succeeded", name, at, origin, session=started.session.id)
    return started.session.id


def _fail(month: _Month, name: str, at: Instant) -> None:
    origin = _from(f"192.0.2.{month.dice.randrange(2, 250)}", month.dice.choice(_AGENTS))
    month.at(at, lambda c: _event(c, "sign_in.failed", name, at, origin, reason="credentials"))


def _from(ip: str, user_agent: str) -> Origin:
    return Origin(ip=ip, user_agent=user_agent)


def _event(
    connection: Connection, type_: str, name: str, at: Instant, origin: Origin, **members: str
) -> None:
    event = Event(
        id=make_id(EVENT, at, system_random),
        at=at,
        type=type_,
        actor=user_actor("acme", name),
        organization="acme",
        user=name,
        application=BUILT_IN_APPLICATION,
        origin=origin,
        **members,  # type: ignore[arg-type]  # a session's ID, or a reason
    )
    audit.append(connection, [event])


def _notices(connection: Connection) -> None:
    """What became of the notices: most have arrived, some were given up, and nobody tries again."""
    for statement in (
        (
            "UPDATE delivery SET state = 'delivered', attempts = 1, last_status = 204, "
            "delivered_at = created_at + 180"
        ),
        (
            "UPDATE delivery SET state = 'dead', attempts = 8, last_status = 503, last_error = 'status', "
            "delivered_at = NULL WHERE seq % 40 = 0"
        ),
    ):
        connection.execute(text(statement))
