"""The knobs of a policy, as data: what the layers of each combine to, its default, its words.

Schemas, views, the command line and the reference are checked against this one table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from iam.languages import N_

LONGEST = 10 * 365 * 24 * 60 * 60
"""No time can be set to more than ten years: beyond it a number is a mistake, not a policy."""
MOST = 1_000_000
"""No number of sessions can be set to more than that."""

Value = int | bool | str | None
Kind = Literal["seconds", "number", "yes or no", "word"]


class AtLimit(StrEnum):
    """What becomes of a sign-in that finds no room. The strictest comes first."""

    REFUSE = "refuse"
    ASK = "ask"
    END_OLDEST = "end_oldest"
    END_LEAST_RECENTLY_ACTIVE = "end_least_recently_active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """One rule that a layer may set."""

    name: str
    kind: Kind
    default: Value
    """What holds where no layer sets it. None: no such rule."""
    strictest: Callable[[Sequence[Value]], Value]
    """The one of these values, none of which is None, that wins."""
    wins: str
    """In words, which that is."""
    about: str
    least: int = 1
    bounded_by: str | None = None
    """Where no layer sets this knob, what some layer says of that one bounds the default: nobody who
    set a short time is to find a longer one under another name."""


def _least(values: Sequence[Value]) -> Value:
    return min(values)  # type: ignore[type-var]  # of one knob, so all of one kind


def _most(values: Sequence[Value]) -> Value:
    return max(values)  # type: ignore[type-var]  # of one knob, so all of one kind


def _first(values: Sequence[Value]) -> Value:
    return next(str(one) for one in AtLimit if one in values)


KNOBS: tuple[Knob, ...] = (
    Knob(
        name="idle_timeout",
        kind="seconds",
        default=30 * 60,
        strictest=_least,
        wins="the shortest",
        about=N_("A session ends when its holder has done nothing for this long."),
    ),
    Knob(
        name="maximum_lifetime",
        kind="seconds",
        default=12 * 60 * 60,
        strictest=_least,
        wins="the shortest",
        about=N_("A session ends this long after its start, whatever its holder does."),
    ),
    Knob(
        name="remember_idle_timeout",
        kind="seconds",
        default=14 * 24 * 60 * 60,
        strictest=_least,
        wins="the shortest",
        about=N_("The idle timeout of somebody who asked to be kept signed in."),
        bounded_by="idle_timeout",
    ),
    Knob(
        name="remember_maximum_lifetime",
        kind="seconds",
        default=30 * 24 * 60 * 60,
        strictest=_least,
        wins="the shortest",
        about=N_(
            "The maximum lifetime of somebody who asked to be kept signed in; 0: nobody may ask."
        ),
        least=0,
        bounded_by="maximum_lifetime",
    ),
    Knob(
        name="exclusive",
        kind="yes or no",
        default=False,
        strictest=_most,
        wins="true",
        about=N_("A new session of a user at an application ends the user's others there."),
    ),
    Knob(
        name="maximum_sessions",
        kind="number",
        default=None,
        strictest=_least,
        wins="the smallest",
        about=N_("How many sessions a user may have at an application at once."),
    ),
    Knob(
        name="at_limit",
        kind="word",
        default=str(AtLimit.END_LEAST_RECENTLY_ACTIVE),
        strictest=_first,
        wins="in this order: " + ", ".join(f"`{one}`" for one in AtLimit),
        about=N_("What becomes of a sign-in for which there is no room."),
    ),
    Knob(
        name="maximum_user_sessions",
        kind="number",
        default=None,
        strictest=_least,
        wins="the smallest",
        about=N_("In how many places a user may be signed in at once, all applications together."),
    ),
    Knob(
        name="reauthentication_age",
        kind="seconds",
        default=None,
        strictest=_least,
        wins="the shortest",
        about=N_(
            "Who signed in longer ago than this signs in again before they enter an application."
        ),
    ),
    Knob(
        name="end_children",
        kind="yes or no",
        default=None,
        strictest=_most,
        wins="true",
        about=N_(
            "Whether the end of a browser session ends the sessions entered from it. Where no layer "
            "says, it does, except for those that their own times let outlive it."
        ),
    ),
    Knob(
        name="notify_on_expiry",
        kind="yes or no",
        default=False,
        strictest=_most,
        wins="true",
        about=N_("Whether applications are also told of sessions that a deadline ended."),
    ),
)
