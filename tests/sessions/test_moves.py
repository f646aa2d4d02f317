"""A session that is used from elsewhere: an event, once, and what is known of it since."""

from iam.kernel.events import Origin
from iam.sessions import store
from iam.sessions.model import EndReason
from iam.sessions.moves import note_moves
from iam.sessions.search import SessionFilter, list_sessions
from iam.sessions.touch import Touches
from tests.support.heart import Heart

HOME = Origin(ip="192.0.2.1", user_agent="Firefox")
TRAIN = Origin(ip="198.51.100.7", user_agent="Firefox")
TELEPHONE = Origin(ip="198.51.100.7", user_agent="Safari")


def _note(heart: Heart, **seen: Origin) -> int:
    return heart.database.write(lambda c: note_moves(c, seen, heart.now, heart.random))


def test_another_address_and_another_program_are_told_once_each(heart: Heart) -> None:
    session = heart.browser(origin=HOME).session
    assert _note(heart, **{session.id: HOME}) == 0
    heart.move(1)

    assert _note(heart, **{session.id: TRAIN}) == 1
    assert _note(heart, **{session.id: TRAIN}) == 0
    heart.move(1)
    assert _note(heart, **{session.id: TELEPHONE}) == 1

    events = heart.events("session.moved")
    assert [(one.session, one.actor, one.origin, dict(one.data)) for one in events] == [
        (session.id, "user:acme/ana", TRAIN, {"from_ip": HOME.ip}),
        (session.id, "user:acme/ana", TELEPHONE, {"from_user_agent": "Firefox"}),
    ]
    now = heart.database.read(lambda c: store.read_session(c, session.id))
    assert now is not None
    assert (now.ip, now.user_agent) == (TELEPHONE.ip, TELEPHONE.user_agent)
    near = SessionFilter(organization="acme", ip="198.51.100.0/24")
    found = heart.database.read(lambda c: list_sessions(c, near, heart.now))
    assert [one.id for one in found.items] == [session.id]


def test_of_what_is_not_known_nothing_is_said(heart: Heart) -> None:
    unknown, known = heart.browser().session, heart.browser(origin=HOME).session

    assert _note(heart, **{unknown.id: TRAIN, known.id: Origin(), "ses_none": TRAIN}) == 0


def test_who_is_over_goes_nowhere(heart: Heart) -> None:
    ended, idle = heart.browser(origin=HOME), heart.browser(origin=HOME)
    heart.end(ended)
    heart.move(2000)
    assert heart.over(idle) is EndReason.IDLE

    assert _note(heart, **{ended.session.id: TRAIN, idle.session.id: TRAIN}) == 0


def test_it_is_looked_at_as_seldom_as_activity_is_written(heart: Heart) -> None:
    touches, row = Touches(), heart.verdict(heart.browser(origin=HOME)).row
    assert row is not None

    touches.note(row, heart.now, TRAIN)
    assert touches.take_seen() == {}
    heart.move(61)
    touches.note(row, heart.now, TRAIN)

    assert touches.take_seen() == {row.id: TRAIN}
    assert touches.take_seen() == {}
