"""One session with what is kept beside it; see `iam.api.views` for how."""

from typing import Any

from pydantic import Field

from iam.api.views import SessionView, View, session_view
from iam.kernel.clock import Instant
from iam.sessions.model import Session
from iam.signin.federated_sessions import Federated


class FederatedView(View):
    """By which provider somebody signed in, and what it said of it. Nothing here is decided by that."""

    provider: str = Field(description="Its name in the session's organization.")
    provider_id: str
    subject: str
    session: str | None = Field(description="What it calls the session there (`sid`).")
    amr: list[str]
    acr: str | None


class SessionDetailView(SessionView):
    """One session, with what is kept beside it."""

    federated: FederatedView | None = Field(
        description="Of a session that a provider let in, and of what was entered from it."
    )


def session_detail_view(
    session: Session, federated: Federated | None, now: Instant
) -> dict[str, Any]:
    """A session as it is at `now`, with the provider by which its browser session began."""
    said = None
    if federated is not None:
        said = {
            "provider": federated.name,
            "provider_id": federated.provider,
            "subject": federated.subject,
            "session": federated.session,
            "amr": list(federated.amr),
            "acr": federated.acr,
        }
    return {**session_view(session, now), "federated": said}
