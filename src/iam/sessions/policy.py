"""The rules of a session, and the one predicate that judges its deadlines. No I/O.

Layers, each optional: installation, organization, application, role, user. Among the layers that set a
knob the strictest wins; a knob that no layer sets has its built-in default, which is a default and
no ceiling (`knobs` says which value of a knob is the strictest).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Literal, Protocol

from iam.kernel.clock import Instant
from iam.sessions.knobs import KNOBS, LONGEST, AtLimit, Knob, Value
from iam.sessions.model import (
    BUILT_IN_APPLICATION,
    BUILT_IN_ORGANIZATION,
    EndReason,
    Session,
)

LayerName = Literal["installation", "organization", "application", "role", "user"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What one layer says; None leaves the knob to the other layers. Times are seconds."""

    idle_timeout: int | None = None
    maximum_lifetime: int | None = None
    remember_idle_timeout: int | None = None
    remember_maximum_lifetime: int | None = None
    exclusive: bool | None = None
    maximum_sessions: int | None = None
    at_limit: AtLimit | None = None
    maximum_user_sessions: int | None = None
    reauthentication_age: int | None = None
    end_children: bool | None = None
    notify_on_expiry: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectivePolicy:
    """What holds for a session. Times are seconds; None: there is no such rule."""

    idle_timeout: int
    maximum_lifetime: int
    remember_idle_timeout: int
    remember_maximum_lifetime: int
    exclusive: bool
    maximum_sessions: int | None
    at_limit: AtLimit
    maximum_user_sessions: int | None
    reauthentication_age: int | None
    end_children: bool | None
    notify_on_expiry: bool

    @property
    def may_remember(self) -> bool:
        """Whether a person may ask to be kept signed in."""
        return self.remember_maximum_lifetime > 0

    @property
    def limits(self) -> bool:
        """Whether there is anything to decide about the user's other sessions."""
        return (
            self.exclusive
            or self.maximum_sessions is not None
            or self.maximum_user_sessions is not None
        )

    def times(self, *, remembered: bool) -> tuple[int, int]:
        """The idle timeout and the maximum lifetime of a session."""
        if remembered and self.may_remember:
            return self.remember_idle_timeout, self.remember_maximum_lifetime
        return self.idle_timeout, self.maximum_lifetime


@dataclass(frozen=True, slots=True)
class Layer:
    """Where a policy is set: an installation has one, and every organization, application, role and
    user. `name` is that of the application, the role or the user."""

    kind: LayerName
    organization: str = ""
    name: str = ""

    @property
    def reach(self) -> str | None:
        """The organization whose sessions it governs, None for all: whose rules are to be held.

        `app-built-in` is kept in one organization and entered by the users of every one.
        """
        if self.kind == "application" and self.name == BUILT_IN_APPLICATION:
            return None
        return self.organization or None


INSTALLATION = Layer("installation")


@dataclass(frozen=True, slots=True)
class Settled:
    """The value that holds for a knob, and the layer that set it; None for the default."""

    value: Value
    layer: Layer | None


class Deadlines(Protocol):
    """What the predicate looks at: any value that carries a session's deadlines."""

    @property
    def last_active_at(self) -> Instant: ...
    @property
    def idle_timeout(self) -> int: ...
    @property
    def expires_at(self) -> Instant: ...
    @property
    def end_reason(self) -> str | None: ...


def end_reason(session: Deadlines, now: Instant) -> EndReason | None:
    """Whether the session is over at `now`, and why; None while it lives.

    The only place where a deadline is compared. Bounds are exclusive: at the very instant of its
    deadline a session is over. Of two deadlines that have passed, the earlier one ended it.
    """
    if session.end_reason is not None:
        return EndReason(session.end_reason)
    idle_at = session.last_active_at + session.idle_timeout * 1000
    if now < idle_at and now < session.expires_at:
        return None
    return EndReason.IDLE if idle_at < session.expires_at else EndReason.EXPIRED


def settle(said: Sequence[tuple[Layer, Policy]]) -> dict[str, Settled]:
    """Every knob's value under these layers, by name. Of layers that say the same the first is named."""
    settled: dict[str, Settled] = {}
    for knob in KNOBS:
        found = _strictest(knob, said)
        if found is None and knob.bounded_by is not None:
            bound = settled[knob.bounded_by]
            if bound.layer is not None and bound.value < knob.default:  # type: ignore[operator]  # both are seconds
                found = bound
        settled[knob.name] = found or Settled(knob.default, None)
    return settled


def _strictest(knob: Knob, said: Sequence[tuple[Layer, Policy]]) -> Settled | None:
    values = [(layer, value) for layer, one in said if (value := _said(one, knob)) is not None]
    if not values:
        return None
    winner = knob.strictest([value for _, value in values])
    return Settled(winner, next(layer for layer, value in values if value == winner))


def _said(policy: Policy, knob: Knob) -> Value:
    value: Value = getattr(policy, knob.name)
    return value


def strictest(layers: Iterable[Policy]) -> EffectivePolicy:
    """The effective policy of these layers."""
    said = [policy for policy in layers if policy != _NOTHING]
    if not said:
        return _default()
    return _effective(settle([(INSTALLATION, policy) for policy in said]))


@cache
def _default() -> EffectivePolicy:
    return _effective(settle([]))


def _effective(settled: Mapping[str, Settled]) -> EffectivePolicy:
    values = {name: one.value for name, one in settled.items()}
    values["at_limit"] = AtLimit(str(values["at_limit"]))
    return EffectivePolicy(**values)  # type: ignore[arg-type]  # each knob's kind is that of its field


def outlives(policy: EffectivePolicy, parent: Session) -> bool:
    """Whether a session under this policy, entered from `parent`, does not end with it.

    Where no layer says (`end_children`), those do not that may live longer than the parent from their
    own start: as children they would be cut down to its deadlines, and the policy would mean nothing.
    """
    if policy.end_children is not None:
        return not policy.end_children
    return (
        policy.idle_timeout > parent.idle_timeout
        or policy.maximum_lifetime * 1000 > parent.expires_at - parent.created_at
    )


def home_of(application: str, organization: str) -> str:
    """The organization in which an application that `organization`'s users enter is kept."""
    return BUILT_IN_ORGANIZATION if application == BUILT_IN_APPLICATION else organization


_NOTHING = Policy()
NAMES = tuple(field.name for field in fields(Policy))
"""The knobs' names, in their order."""

__all__ = [
    "INSTALLATION",
    "LONGEST",
    "NAMES",
    "AtLimit",
    "EffectivePolicy",
    "Layer",
    "LayerName",
    "Policy",
    "Settled",
    "end_reason",
    "home_of",
    "outlives",
    "settle",
    "strictest",
]
