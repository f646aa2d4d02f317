"""What every change from the console has: who, when, from where, and the event that says so."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from iam.kernel.clock import Instant
from iam.kernel.events import Event, Origin
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.web.address import origin_of
from iam.web.caller import Person
from iam.web.engine import engine_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """An administrator who changes something."""

    person: Person
    now: Instant
    origin: Origin
    random: Random

    @property
    def members(self) -> dict[str, Any]:
        """The arguments that everything which changes something takes."""
        return {"actor": self.person.actor, "now": self.now, "random": self.random}

    def reaches(self, organization: str | None) -> bool:
        """Whether what belongs to this organization (None: the installation) exists for them."""
        return self.person.reaches(organization)

    def event(self, type_: str, **members: Any) -> Event:
        """An event that they are the cause of."""
        return Event(
            id=make_id(EVENT, self.now, self.random),
            at=self.now,
            type=type_,
            actor=self.person.actor,
            origin=self.origin,
            **members,
        )


def cause_of(request: Request, person: Person, now: Instant) -> Cause:
    """The administrator who sent this request, as the cause of what it changes."""
    engine = engine_of(request)
    origin = origin_of(request, engine.settings)
    return Cause(person=person, now=now, origin=origin, random=engine.random)
