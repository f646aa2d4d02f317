"""What one attempt to send a notice needs, and what comes of it."""

from dataclasses import dataclass

from iam.delivery.logouts import LogoutNotice
from iam.delivery.saml_logouts import SamlLogoutNotice
from iam.kernel.events import Event


@dataclass(frozen=True, slots=True)
class WebhookNotice:
    """An event for a webhook, and the secret that it is signed with."""

    event: Event
    secret: str

    @property
    def id(self) -> str:
        """The same at each attempt."""
        return self.event.id


@dataclass(frozen=True, slots=True)
class Claim:
    """What one attempt needs. `attempt` counts from 1."""

    seq: int
    attempt: int
    url: str
    notice: WebhookNotice | LogoutNotice | SamlLogoutNotice


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt: the status of the answer, or the word for what went wrong. `final`:
    another attempt would be in vain."""

    status: int | None
    error: str | None
    final: bool = False
