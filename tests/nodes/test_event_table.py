"""One event and all its effects: it happens on one node, and the very next request on another shows it.

Each row is an event and what it means for the person's own browser and for their other one, at every door
there is, for what was under way at that moment, and for whether the application is told.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.nodes import event_causes as cause
from tests.nodes.event_causes import Case
from tests.support.node_client import FAST
from tests.support.node_http import Node
from tests.support.person_on_nodes import IN, NOTICE, QUIET, TOLD, Browser
from tests.support.place_on_nodes import administrator, make_place
from tests.support.ports import free_port
from tests.support.postgres import Cluster
from tests.support.processes import Server

GATE = ("application's session API", "gate", "validation")
"""Doors that ask about a session which was entered from the browser session, behind the gate."""
CLIENT = ("userinfo", "introspection", "token exchange", "refresh")
"""Those that ask about another, that of the OpenID client."""
APART = "refresh of who stays signed in"
"""About one that was started to outlive the browser session."""
ENTRIES = ("entering through the gate", "authorization", "pushed request", "SAML sign-on")
"""Those at which the browser's cookie enters applications."""
UNDER_WAY = ("code redemption", "device")
"""Where what was approved in the browser session is taken up by somebody else."""


@dataclass(frozen=True)
class Means:
    """What an event means for a browser: at a door that is not named, `rest`. `notice`: whether the OpenID
    client is told that its session has ended.

    `out` is any refusal: a door that does not say why, or one that may say so in several ways.
    """

    rest: str = IN
    named: tuple[tuple[str, str], ...] = ()
    notice: str = QUIET

    def at(self, door: str) -> str:
        return dict(self.named).get(door, self.rest)


def _at(doors: tuple[str, ...], what: str) -> tuple[tuple[str, str], ...]:
    return tuple((door, what) for door in doors)


def _over(
    reason: str, children: str = "parent_ended", *, apart: str = IN, notice: str = TOLD
) -> Means:
    """Its browser session is over for this reason, its children for that one."""
    named = (("session API", reason), *_at(GATE, children), (APART, apart))
    return Means("out", named, notice)


STAYS = Means()
ROTATED = Means("out", _at((*GATE, *CLIENT, APART, *UNDER_WAY), IN))
"""The former token of the browser session is nobody's; what was entered from it goes on."""
ROTATED_ALONE = Means("out", _at((*GATE, *CLIENT, *UNDER_WAY), IN))
"""The same, and what was not entered from it, or was to outlive it, is over with all others."""
ADMIN, DISABLED, CHANGED = "ended_by_admin", "user_disabled", "credentials_changed"
ALL_OVER = _over(ADMIN, "out", apart="out")
ALL_DISABLED = _over(DISABLED, "out", apart="out")
ALL_CHANGED = _over(CHANGED, "out", apart="out")


def _application_over(reason: str, *, entered: str = IN, notice: str = TOLD) -> Means:
    """The sessions at the application are over; the browser session and the other application stay."""
    rest = (*_at(CLIENT, "out"), *_at(ENTRIES, entered), ("code redemption", entered))
    return Means(IN, (*_at(GATE, reason), *rest), notice)


def _not_allowed() -> Means:
    """The application is not allowed any more what its tokens and codes tell it."""
    refused = ("authorization", "pushed request", "code redemption")
    over = _application_over("out", entered=IN)
    return Means(IN, (*over.named, *_at(refused, "out")), TOLD)


Row = tuple[Callable[[Case], None], Means, Means]


def _both(event: Callable[[Case], None], means: Means) -> Row:
    """What means the same for both browsers."""
    return event, means, means


TABLE: tuple[Row, ...] = (
    (cause.nothing, STAYS, STAYS),
    (cause.sign_out, _over("signed_out"), STAYS),
    (
        cause.sign_out_everywhere,
        _over("signed_out", apart="out"),
        _over("ended_by_user", "out", apart="out"),
    ),
    (cause.sign_out_at_an_application, _over("signed_out"), STAYS),
    (cause.end_others, _over("ended_by_user", "out", apart="out"), Means(IN, ((APART, "out"),))),
    (cause.end_one_of_ones_own, _over("ended_by_user"), STAYS),
    (cause.sign_out_behind_the_gate, Means(IN, _at(GATE, "signed_out")), STAYS),
    _both(cause.idle, _over("idle", "idle", apart="out", notice=QUIET)),
    _both(cause.expire, _over("expired", "expired", apart="out", notice=QUIET)),
    _both(cause.tighten, _over("policy", "policy", apart="out")),
    (cause.make_room, _over("limit"), STAYS),
    (cause.allow_one_session_only, _over("exclusive", "out", apart="out"), STAYS),
    (cause.sign_in_again, ROTATED, STAYS),
    (cause.change_password, ROTATED_ALONE, ALL_CHANGED),
    (cause.reset_password, ALL_CHANGED, ALL_CHANGED),
    (cause.add_a_second_factor, ROTATED, STAYS),
    (cause.add_a_second_factor_and_end_the_others, ROTATED_ALONE, ALL_CHANGED),
    (cause.remove_ones_second_factor, ROTATED_ALONE, ALL_CHANGED),
    (cause.admin_removes_second_factor, ALL_CHANGED, ALL_CHANGED),
    (cause.admin_ends_session, _over(ADMIN), STAYS),
    (cause.admin_ends_child, Means(IN, _at(GATE, ADMIN)), STAYS),
    (cause.admin_ends_user, ALL_OVER, ALL_OVER),
    _both(cause.admin_ends_record, _application_over(ADMIN)),
    (cause.everything_before_now, ALL_OVER, ALL_OVER),
    (cause.disable_user, ALL_DISABLED, ALL_DISABLED),
    (cause.delete_user, ALL_DISABLED, ALL_DISABLED),
    _both(cause.disable_application, _application_over("out", entered="out")),
    # Who is gone is told nothing.
    _both(cause.delete_application, _application_over("out", entered="out", notice=QUIET)),
    (cause.disable_organization, ALL_DISABLED, ALL_DISABLED),
    _both(cause.delete_organization, _over(DISABLED, "out", apart="out", notice=QUIET)),
    (cause.use_a_code_twice, Means(IN, _at(CLIENT, "out"), TOLD), STAYS),
    (cause.use_a_refresh_token_twice, Means(IN, _at(CLIENT, "out"), TOLD), STAYS),
    _both(cause.withdraw_consent, _not_allowed()),
    (cause.lock, _over("session_locked", "session_locked", notice=QUIET), STAYS),
    (
        cause.lock_child,
        Means(IN, (*_at(GATE, "session_locked"), *_at(ENTRIES, "out"))),
        STAYS,
    ),
    (cause.lock_and_unlock, ROTATED, STAYS),
)


@dataclass(frozen=True)
class Pair:
    """Two server processes over one PostgreSQL, with one issuer."""

    here: Server
    there: Server


@pytest.fixture(scope="module")
def pair(postgres_cluster: Cluster) -> Iterator[Pair]:
    """Two nodes that the rows of the table share; each row has an organization of its own."""
    url, port = postgres_cluster.new_database(), free_port()
    own = {"IAM_ISSUER": f"http://127.0.0.1:{port}", "IAM_DELIVERY_ALLOW_PRIVATE": "true"}
    env = {**FAST, **own}
    with (
        Server(database_url=url, env=env, port=port, name="here") as here,
        Server(database_url=url, env=env, name="there") as there,
    ):
        yield Pair(here, there)
    postgres_cluster.drop(url)


def _words(event: Callable[[Case], None]) -> str:
    return event.__name__.replace("_", " ")


@pytest.mark.parametrize(
    ("event", "own", "other"), TABLE, ids=[_words(event) for event, *_ in TABLE]
)
def test_what_happens_on_one_node_is_true_for_the_next_request_on_the_other(
    pair: Pair, event: Callable[[Case], None], own: Means, other: Means
) -> None:
    with Node(pair.here) as here, Node(pair.there) as there:
        admin = administrator(here)
        place = make_place(here, admin, event.__name__.replace("_", "-"))
        case = Case(here, admin, place, Browser(here, place), Browser(here, place))

        event(case)

        for browser, means in ((case.own, own), (case.other, other)):
            found = browser.doors(there)
            found[NOTICE] = browser.told(there, admin, wait=means.notice == TOLD)
            expected = {door: means.at(door) for door in found} | {NOTICE: means.notice}
            differing = {
                door: (what, expected[door])
                for door, what in found.items()
                if not (what == expected[door] or (expected[door] == "out" and what != IN))
            }
            assert differing == {}, "(found, expected)"
