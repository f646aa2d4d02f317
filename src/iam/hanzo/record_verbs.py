"""Records by the verbs of Casdoor: our events, in the form in which those clients read requests.

What a client adds becomes an event as well (`record.added`), which says of itself that a client told it:
`object` and `detail` of its record are ours, and name who did.
"""

import json
from collections.abc import Mapping
from typing import Any, cast, get_args

from sqlalchemy import Connection

from iam import audit
from iam.audit.record_lists import Field, RecordFilter, count_records, list_records
from iam.directory.organizations import find_organization
from iam.hanzo.asking import Asked, asked
from iam.hanzo.call import Call
from iam.hanzo.envelope import Reply, affected
from iam.hanzo.errors import Refused
from iam.hanzo.objects import OWNER
from iam.hanzo.reach import administers_installation, require_administrator
from iam.hanzo.verbs import Verb, get, post
from iam.kernel.clock import to_iso
from iam.kernel.events import EVENT_TYPES, Event

ADDED = "record.added"
ACTIONS = {
    "application.created": "add-application",
    "application.deleted": "delete-application",
    "application.updated": "update-application",
    "organization.created": "add-organization",
    "organization.deleted": "delete-organization",
    "organization.updated": "update-organization",
    "provider.created": "add-provider",
    "provider.deleted": "delete-provider",
    "provider.updated": "update-provider",
    "session.ended": "delete-session",
    "session.started": "add-session",
    "sign_in.succeeded": "login",
    "user.created": "add-user",
    "user.deleted": "delete-user",
    "user.updated": "update-user",
}
"""What there is called by what was asked for; everything else keeps its own name."""
_SIGNED_OUT = "logout"
_WORDS_OF_OURS = frozenset({*ACTIONS.values(), _SIGNED_OUT, "sso-logout", "signup"})
_LARGEST = 8 * 1024
_NOTED = ("action", "user", "clientIp", "method", "requestUri", "object", "response", "detail")
_LANGUAGES = ("language", "statusCode", "createdTime", "name")


def get_records(call: Call) -> Reply:
    """`GET get-records?owner&p&pageSize&field&value&sortOrder`: of the organizations that the caller
    administers."""
    return _listed(call, call.query("organizationName") or call.query("owner"), asked(call))


def get_records_filter(call: Call) -> Reply:
    """`POST get-records-filter`: records that are like the one in the body, by one of its members."""
    organization = call.text("organization") or call.text("owner")
    given = [(one, call.text(one)) for one in get_args(Field) if one != "organization"]
    named = [(member, value) for member, value in given if value]
    if len(named) > 1:
        raise Refused("Records are looked for by one member at a time.")
    field, value = named[0] if named else ("", "")
    return _listed(call, organization, Asked(field=field, value=value))


def _listed(call: Call, owner: str, wanted: Asked) -> Reply:
    named = "" if owner == OWNER else owner
    everything = not named and administers_installation(call)
    organization = None if everything else named or call.home
    require_administrator(call, organization)
    if wanted.field and wanted.field not in get_args(Field):
        raise Refused(f"Records can be looked for by {', '.join(get_args(Field))}.")
    if wanted.sort not in ("", "createdTime", "id"):
        raise Refused("Records are sorted by createdTime.")
    narrow = RecordFilter(
        organization=organization,
        field=cast(Field, wanted.field) if wanted.field else None,
        value=wanted.value,
        types=tuple(one for one, action in ACTIONS.items() if wanted.value.lower() in action),
    )

    def work(connection: Connection) -> tuple[list[dict[str, Any]], int | None]:
        events = wanted.of(
            list_records(connection, narrow, skip=wanted.skip, limit=wanted.limit, down=wanted.down)
        )
        count = count_records(connection, narrow) if wanted.paged else None
        return [record_view(one) for one in events], count

    views, count = call.engine.database.read(work)
    return Reply(data=views, data2=count)


def add_record(call: Call) -> Reply:
    """`POST add-record`: an event of the type `record.added`, by whoever calls, with what the body says."""
    organization = call.text("organization") or call.text("owner") or call.home
    require_administrator(call, organization)
    told = {one: call.body[one] for one in (*_NOTED, *_LANGUAGES) if call.body.get(one)}
    if len(json.dumps(told)) > _LARGEST:
        raise Refused(f"A record has at most {_LARGEST} bytes.")

    def work(connection: Connection) -> None:
        find_organization(connection, organization)
        event = call.event("record.added", organization=organization, data={"record": told})
        audit.append(connection, [event])

    call.engine.database.write(work)
    return affected(True)


def record_view(event: Event) -> dict[str, Any]:
    """An event in their form."""
    organization = event.organization or ""
    data = json.dumps({"actor": event.actor, "session": event.session, **event.data})
    view: dict[str, Any] = {
        "id": event.at,
        "owner": organization,
        "name": event.id,
        "createdTime": to_iso(event.at),
        "organization": organization,
        "clientIp": event.origin.ip or "",
        "user": event.user or "",
        "method": "POST",
        "requestUri": "",
        "action": _action(event),
        "language": "",
        "object": data,
        "response": "",
        "statusCode": 200,
        "detail": event.reason or "",
        "isTriggered": False,
    }
    told = event.data.get("record") if event.type == ADDED else None
    if isinstance(told, dict):
        # What it says, it says; who said so is ours to tell, and stands where no client writes.
        view |= {one: told[one] for one in _NOTED if isinstance(told.get(one), str)}
        view |= {"action": _told_action(told), "detail": f"told by {event.actor}", "object": data}
    return view


def _told_action(told: Mapping[str, Any]) -> str:
    """What a client says was done: never a word of ours, or it could add sign-ins that never were."""
    action = told.get("action")
    if not isinstance(action, str) or action in _WORDS_OF_OURS or action in EVENT_TYPES:
        return "add-record"
    return action


def _action(event: Event) -> str:
    if event.type == "session.ended" and event.reason == "signed_out":
        return _SIGNED_OUT
    return ACTIONS.get(event.type, event.type)


VERBS: tuple[Verb, ...] = (
    get("get-records", get_records),
    post("get-records-filter", get_records_filter),
    post("add-record", add_record),
)
