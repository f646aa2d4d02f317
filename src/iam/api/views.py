"""What answers look like: each model describes an answer, the function beside it makes one.

The functions make plain dictionaries: nothing is validated twice on its way out. That both agree is
what the tests check, on every answer.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from iam.api.client_members import ClientView
from iam.directory.applications import Application
from iam.directory.client_settings import as_row
from iam.directory.openid_settings import ConsentRule, openid_row
from iam.directory.organizations import Organization
from iam.directory.users import User
from iam.kernel.clock import Instant, to_iso
from iam.kernel.events import SYSTEM
from iam.sessions.bulk import BulkEnd
from iam.sessions.knobs import AtLimit
from iam.sessions.model import EndReason, RecordKey, Session, SessionRecord
from iam.sessions.policy import Policy, end_reason


class View(BaseModel):
    """Every member is always there; null says that it has no value."""

    model_config = ConfigDict(extra="forbid")


class SessionView(View):
    """One login instance."""

    id: str = Field(description="Public and stable: OIDC `sid`, safe to log.")
    organization: str
    user: str
    application: str
    parent: str | None = Field(description="The browser session it was entered from and ends with.")
    entered_through: str | None = Field(
        description="The browser session it was entered from, where it does not end with that one."
    )
    remembered: bool = Field(description="Its holder asked to be kept signed in.")
    created_at: datetime
    authenticated_at: datetime | None
    last_active_at: datetime
    idle_expires_at: datetime = Field(description="When it ends if its holder does nothing more.")
    expires_at: datetime
    locked_at: datetime | None = Field(description="Since when it is refused until unlocked.")
    amr: list[str]
    acr: str | None
    ip: str | None
    device: str | None
    user_agent: str | None
    instance: str | None
    metadata: dict[str, Any]
    state: Literal["active", "ended"]
    ended_at: datetime | None
    end_reason: EndReason | None
    ended_by: str | None


def session_view(session: Session, now: Instant) -> dict[str, Any]:
    """A session as it is at `now`, whether the sweep has noted its end or not."""
    reason = end_reason(session, now)
    ended_at, ended_by = session.ended_at, session.ended_by
    if reason is not None and ended_at is None:
        ended_at, ended_by = session.over_at, session.ended_by or SYSTEM
    return {
        "id": session.id,
        "organization": session.organization,
        "user": session.user,
        "application": session.application,
        "parent": session.parent,
        "entered_through": session.entered_through,
        "remembered": session.remembered,
        "created_at": to_iso(session.created_at),
        "authenticated_at": iso(session.authenticated_at),
        "last_active_at": to_iso(session.last_active_at),
        "idle_expires_at": to_iso(session.idle_expires_at),
        "expires_at": to_iso(session.expires_at),
        "locked_at": iso(session.locked_at),
        "amr": list(session.amr),
        "acr": session.acr,
        "ip": session.ip,
        "device": session.device,
        "user_agent": session.user_agent,
        "instance": session.instance,
        "metadata": dict(session.metadata),
        "state": "active" if reason is None else "ended",
        "ended_at": iso(ended_at),
        "end_reason": reason,
        "ended_by": ended_by,
    }


class StartedView(View):
    """A new session and its token: the only time that it is shown."""

    session: SessionView
    token: str


class RotatedView(View):
    """A session that got a new token; the former one no longer works."""

    session: SessionView
    token: str | None = Field(description="null for a browser: it got it as its cookie.")


class SessionsView(View):
    items: list[SessionView]
    next: str | None = Field(description="The next page's `cursor`; null on the last page.")


class FoundView(SessionsView):
    """Sessions that match a filter. `next` can be set on a page that is not full."""

    count: int | None = Field(description="How many match in all, where that was asked for.")
    count_exact: bool | None = Field(description="Whether `count` is exact.")


class RefusedView(View):
    """Why a token is not good."""

    code: Literal["session_unknown", "session_ended", "session_locked"]
    end_reason: EndReason | None


class EndedView(View):
    """What a call ended (or, with `dry_run`, would end), with children."""

    ended: int
    ids: list[str]
    own_session_ended: bool = Field(description="Whether the caller's own session is among them.")


class BulkEndedView(EndedView):
    """How far a bulk end is. `ended` and `ids` are of this call alone."""

    processed: int = Field(description="How many it has ended in all calls together.")
    more: bool = Field(description="Whether there is more to do: call again with `cursor`.")
    cursor: str | None
    count: int | None = Field(description="Dry run: how many would end, with children.")
    sample: list[SessionView] | None = Field(description="Dry run: the ten oldest.")
    confirm: str | None = Field(description="Dry run of a filter: what confirms it.")


class BulkEndView(View):
    """A confirmed bulk end as it stands."""

    id: str
    actor: str
    count: int = Field(description="How many sessions it was about when it was proposed.")
    processed: int
    more: bool
    created_at: datetime
    confirmed_at: datetime | None
    finished_at: datetime | None
    reason: str | None


def bulk_end_view(bulk: BulkEnd) -> dict[str, Any]:
    """A bulk end."""
    return {
        "id": bulk.id,
        "actor": bulk.actor,
        "count": bulk.number,
        "processed": bulk.processed,
        "more": bulk.finished_at is None,
        "created_at": to_iso(bulk.created_at),
        "confirmed_at": iso(bulk.confirmed_at),
        "finished_at": iso(bulk.finished_at),
        "reason": bulk.note,
    }


class NotBeforeView(View):
    """How many sessions are over (or, with `dry_run`, would be, without their children)."""

    before: datetime
    ended: int
    children: int | None = Field(description="What was entered from them and ends with them.")


class RecordView(View):
    """All live sessions of one user at one application."""

    organization: str
    user: str
    application: str
    created_at: datetime | None = Field(description="null when no session is live.")
    session_ids: list[str]


class RecordsView(View):
    items: list[RecordView]
    next: str | None = Field(description="The next page's `cursor`; null on the last page.")


def record_view(record: SessionRecord) -> dict[str, Any]:
    """A record."""
    return {
        "organization": record.organization,
        "user": record.user,
        "application": record.application,
        "created_at": to_iso(record.created_at),
        "session_ids": list(record.session_ids),
    }


def empty_record_view(key: RecordKey) -> dict[str, Any]:
    """The record of a pair that has no live session."""
    return {**key._asdict(), "created_at": None, "session_ids": []}


class PolicyView(View):
    """Times are seconds; null leaves the knob to the other layers."""

    idle_timeout: int | None
    maximum_lifetime: int | None
    remember_idle_timeout: int | None
    remember_maximum_lifetime: int | None
    exclusive: bool | None
    maximum_sessions: int | None
    at_limit: AtLimit | None
    maximum_user_sessions: int | None
    reauthentication_age: int | None
    end_children: bool | None
    notify_on_expiry: bool | None


def policy_view(policy: Policy) -> dict[str, Any]:
    """What one layer says."""
    return asdict(policy)


class OrganizationView(View):
    name: str
    display_name: str
    enabled: bool
    policy: PolicyView
    created_at: datetime


class OrganizationsView(View):
    items: list[OrganizationView]
    next: str | None = Field(description="The next page's `cursor`; null on the last page.")


def organization_view(organization: Organization, policy: Policy) -> dict[str, Any]:
    """An organization."""
    return {
        "name": organization.name,
        "display_name": organization.display_name,
        "enabled": organization.enabled,
        "policy": policy_view(policy),
        "created_at": to_iso(organization.created_at),
    }


class ApplicationView(View, ClientView):
    organization: str
    name: str
    client_id: str
    display_name: str
    redirect_uris: list[str]
    post_logout_redirect_uris: list[str]
    grant_types: list[str]
    gate_hosts: list[str]
    require_pkce: bool
    default_max_age: int | None
    consent: ConsentRule
    backchannel_logout_uri: str | None
    backchannel_logout_session_required: bool
    frontchannel_logout_uri: str | None
    frontchannel_logout_session_required: bool
    public: bool
    enabled: bool
    policy: PolicyView
    created_at: datetime


class NewApplicationView(ApplicationView):
    client_secret: str | None = Field(description="Shown this once; null if it has none.")


class ApplicationsView(View):
    items: list[ApplicationView]
    next: str | None = Field(description="The next page's `cursor`; null on the last page.")


class SecretView(View):
    client_id: str
    client_secret: str = Field(description="Shown this once; the former one no longer works.")


def application_view(application: Application, policy: Policy) -> dict[str, Any]:
    """An application, without its secret."""
    return {
        "organization": application.organization,
        "name": application.name,
        "client_id": application.client_id,
        "display_name": application.display_name,
        "redirect_uris": list(application.redirect_uris),
        "post_logout_redirect_uris": list(application.post_logout_redirect_uris),
        "grant_types": list(application.grant_types),
        "gate_hosts": list(application.gate_hosts),
        **openid_row(application.openid),
        "public": application.public,
        **as_row(application.client),
        "enabled": application.enabled,
        "policy": policy_view(policy),
        "created_at": to_iso(application.created_at),
    }


class UserView(View):
    id: str = Field(description="The OIDC subject; never given to anyone else.")
    organization: str
    name: str
    display_name: str
    email: str | None
    roles: list[str]
    enabled: bool
    has_password: bool
    second_factor: bool = Field(description="Whether a code of an app is asked for as well.")
    created_at: datetime
    locale: str | None = Field(description="Their language (BCP 47); null: what browsers ask for.")
    zoneinfo: str | None = Field(description="Their time zone (IANA); null: the browser's.")


class UsersView(View):
    items: list[UserView]
    next: str | None = Field(description="The next page's `cursor`; null on the last page.")


def user_view(user: User, *, second_factor: bool = False) -> dict[str, Any]:
    """A user."""
    return {
        "id": user.id,
        "organization": user.organization,
        "name": user.name,
        "display_name": user.display_name,
        "email": user.email,
        "roles": list(user.roles),
        "enabled": user.enabled,
        "has_password": user.has_password,
        "second_factor": second_factor,
        "created_at": to_iso(user.created_at),
        "locale": user.preferences.locale,
        "zoneinfo": user.preferences.zone,
    }


class EventView(View):
    id: str
    at: datetime
    type: str
    actor: str
    organization: str | None
    user: str | None
    application: str | None
    session: str | None
    reason: str | None
    ip: str | None
    user_agent: str | None
    data: dict[str, Any]


class EventsView(View):
    items: list[EventView]
    next: str | None = Field(description="The next page's `cursor`; null on the last page.")


def iso(instant: Instant | None) -> str | None:
    """An instant in the form of every door; None where there is none."""
    return None if instant is None else to_iso(instant)
