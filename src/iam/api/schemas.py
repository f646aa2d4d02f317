"""What requests may contain: closed objects, every text and list bounded, no control characters.

Rules of form are patterns wherever they can be, so that the OpenAPI document states them exactly.
"""

import json
import re
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    WithJsonSchema,
)

from iam.api.client_members import ClientBody, ClientPatch
from iam.delivery.webhooks import ALL_TYPES
from iam.directory.names import NAME_PATTERN, ROLE_PATTERN, USER_NAME_PATTERN
from iam.directory.patterns import (
    EMAIL_PATTERN,
    GATE_HOST_PATTERN,
    OCTET,
    REDIRECT_URI_PATTERN,
    WEBHOOK_URL_PATTERN,
)
from iam.kernel.addresses import network_range
from iam.kernel.clock import Instant, after, from_iso
from iam.kernel.events import EVENT_TYPES
from iam.languages import LANGUAGES
from iam.sessions.knobs import LONGEST, MOST, AtLimit
from iam.signin import passwords

# PostgreSQL stores no NUL, and a line break in a name would be a forged line in somebody's log.
_PLAIN = r"^[^\x00-\x1f\x7f]*$"
EVENT_TYPE_PATTERN = rf"^(?:{'|'.join(map(re.escape, (ALL_TYPES, *EVENT_TYPES)))})$"
MAXIMUM_METADATA = 4096
MAXIMUM_DEPTH = 32


INSTANT_PATTERN = (
    r"^(?:19[7-9][0-9]|2[0-9]{3})-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|[12][0-9]))"
    r"[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$"
)
_BITS = r"(?:12[0-8]|1[01][0-9]|[1-9]?[0-9])"
_NETWORKS = [
    {"type": "string", "format": "ipv4"},
    {"type": "string", "format": "ipv6"},
    {"type": "string", "pattern": rf"^{OCTET}(?:\.{OCTET}){{3}}/(?:3[0-2]|[12]?[0-9])$"},
    {"type": "string", "pattern": rf"^(?:[0-9A-Fa-f]{{1,4}}:){{1,7}}:/{_BITS}$"},
]


def text_of(shortest: int, longest: int, pattern: str = _PLAIN) -> StringConstraints:
    return StringConstraints(min_length=shortest, max_length=longest, pattern=pattern)


def absent() -> Any:
    """Stands for a member that was not given, where null is no value."""
    return None


def _unique(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


def whole(value: object) -> object:
    # To JSON Schema 60.0 is an integer as well.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _address_text(value: object) -> object:
    # As numbers they would be read as addresses too; a zone ("%eth0") means nothing elsewhere.
    if not isinstance(value, str) or "%" in value:
        raise ValueError("expected an IPv4 or IPv6 address")
    return value


def _network_text(value: object) -> object:
    text = _address_text(value)
    try:
        network_range(str(text))
    except ValueError as error:
        raise ValueError("expected an address or a network such as 10.0.0.0/8") from error
    return text


def _instant(value: object) -> Instant:
    if not isinstance(value, str) or re.fullmatch(INSTANT_PATTERN, value, re.ASCII) is None:
        raise ValueError("expected a time with its offset, such as 2026-11-23T10:00:00Z")
    text = value.upper()
    try:
        return max(from_iso(text), Instant(0))
    except ValueError:
        # The only day that the pattern lets through without being one: the 29th of a short February.
        return after(from_iso(f"{text[:8]}28{text[10:]}"), 24 * 60 * 60)


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    try:
        encoded = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError("not representable as JSON") from error
    if len(encoded) > MAXIMUM_METADATA:
        raise ValueError(f"larger than {MAXIMUM_METADATA} bytes")
    _check_depth(value, MAXIMUM_DEPTH)
    # Escaped backslashes go first, so that the six characters themselves are no NUL.
    if rb"\u0000" in encoded.replace(rb"\\", b""):
        raise ValueError("a NUL character cannot be stored")
    return value


def _check_depth(value: object, left: int) -> None:
    if not left:
        raise ValueError(f"nested deeper than {MAXIMUM_DEPTH}")
    if isinstance(value, (dict, list)):
        for one in value.values() if isinstance(value, dict) else value:
            _check_depth(one, left - 1)


Name = Annotated[str, text_of(1, 63, NAME_PATTERN)]
UserName = Annotated[str, text_of(1, 127, USER_NAME_PATTERN)]
AnyName = Annotated[str, text_of(0, 256)]
DisplayName = Annotated[str, text_of(1, 128)]
Label = Annotated[str, text_of(1, 128)]
UserAgent = Annotated[str, text_of(1, 512)]
Email = Annotated[str, text_of(3, 254, EMAIL_PATTERN)]
TIME_ZONE = "iana-time-zone"
"""The format, in the document, of what no pattern can say: the names of time zones."""
Language = Annotated[str, text_of(1, 35), Field(json_schema_extra={"enum": list(LANGUAGES)})]
TimeZone = Annotated[
    str,
    text_of(1, 64),
    WithJsonSchema({"type": "string", "format": TIME_ZONE, "examples": ["Europe/Berlin"]}),
]
Password = Annotated[
    str, StringConstraints(min_length=passwords.SHORTEST, max_length=passwords.LONGEST)
]
Address = Annotated[IPv4Address | IPv6Address, BeforeValidator(_address_text)]
Seconds = Annotated[int, Field(strict=True, ge=1, le=LONGEST), BeforeValidator(whole)]
SecondsOrZero = Annotated[int, Field(strict=True, ge=0, le=LONGEST), BeforeValidator(whole)]
Number = Annotated[int, Field(strict=True, ge=1, le=MOST), BeforeValidator(whole)]
Moment = Annotated[
    int,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "maxLength": 40, "pattern": INSTANT_PATTERN}),
]
"""RFC 3339 with an offset. It becomes an `Instant`."""
Network = Annotated[str, BeforeValidator(_network_text), WithJsonSchema({"anyOf": _NETWORKS})]
"""An address or a network."""
Metadata = Annotated[dict[str, Any], AfterValidator(_metadata)]
Roles = Annotated[
    list[Annotated[str, text_of(1, 63, ROLE_PATTERN)]],
    Field(max_length=32),
    AfterValidator(_unique),
]
RedirectUris = Annotated[
    list[Annotated[str, text_of(1, 2048, REDIRECT_URI_PATTERN)]],
    Field(max_length=50),
    AfterValidator(_unique),
]
GateHosts = Annotated[
    list[Annotated[str, text_of(1, 255, GATE_HOST_PATTERN)]],
    Field(max_length=50),
    AfterValidator(_unique),
]
WebhookUrl = Annotated[str, text_of(1, 2048, WEBHOOK_URL_PATTERN)]
EventTypes = Annotated[
    list[Annotated[str, text_of(1, 63, EVENT_TYPE_PATTERN)]],
    Field(min_length=1, max_length=50, description="Names of events; `*` is all."),
    AfterValidator(_unique),
]
GrantType = Literal[
    "authorization_code",
    "refresh_token",
    "client_credentials",
    # For clients of Casdoor alone, on its paths: no token endpoint of ours knows them.
    "password",
    "implicit",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
]
GrantTypes = Annotated[list[GrantType], Field(max_length=8)]


class Body(BaseModel):
    """A member that we do not know is a mistake of the caller's, not something to pass over."""

    model_config = ConfigDict(extra="forbid")


class PolicyBody(Body):
    """Times are seconds; null leaves the knob to the other layers. A member that is absent stays as it
    is."""

    idle_timeout: Seconds | None = None
    maximum_lifetime: Seconds | None = None
    remember_idle_timeout: Seconds | None = None
    remember_maximum_lifetime: SecondsOrZero | None = None
    exclusive: StrictBool | None = None
    maximum_sessions: Number | None = None
    at_limit: AtLimit | None = None
    maximum_user_sessions: Number | None = None
    reauthentication_age: Seconds | None = None
    end_children: StrictBool | None = None
    notify_on_expiry: StrictBool | None = None


Code = Annotated[
    Annotated[str, StringConstraints(max_length=64)] | None,
    Field(
        repr=False,
        description="Of the authenticator app of who has one, or a recovery code.",
    ),
]


class SignInBody(Body):
    """A user name and a password."""

    organization: AnyName
    application: AnyName = "app-built-in"
    username: AnyName
    password: Annotated[str, StringConstraints(max_length=1024)] = Field(repr=False)
    code: Code = None
    remember: StrictBool = Field(
        False, description="Keep the person signed in, where that is allowed."
    )
    end_sessions: Annotated[list[Label], Field(max_length=100)] = Field(
        default_factory=list,
        description="After a `session_limit` that says `may_choose`: what is to end for this sign-in.",
    )


class PasswordChangeBody(Body):
    """The password one has, and the one that is to take its place."""

    current_password: Annotated[str, StringConstraints(max_length=1024)] = Field(repr=False)
    new_password: Password = Field(repr=False)
    code: Code = None
    end_others: StrictBool = Field(True, description="End all other sessions of the caller.")


class UnlockBody(Body):
    """The password of the session's user."""

    password: Annotated[str, StringConstraints(max_length=1024)] = Field(repr=False)
    code: Code = None


class StartBody(Body):
    """A session that an application starts for one of its users or service instances."""

    user: UserName
    instance: Label | None = Field(None, description="The back end's own name for itself.")
    metadata: Metadata = Field(
        default_factory=dict, description="Anything, up to 4096 bytes of JSON."
    )
    maximum_lifetime: Seconds | None = Field(
        None, description="Ends it earlier than its policy says; never later."
    )
    ip: Address | None = Field(None, description="The user's address; default: the caller's.")
    user_agent: UserAgent | None = None
    device: Label | None = None


class OrganizationBody(Body):
    name: Name
    display_name: DisplayName | None = None
    policy: PolicyBody = Field(default_factory=PolicyBody)


class OrganizationPatch(Body):
    display_name: DisplayName = Field(default_factory=absent)
    enabled: StrictBool = Field(default_factory=absent)
    policy: PolicyBody = Field(default_factory=absent)


class ApplicationBody(Body, ClientBody):
    organization: Name
    name: Name
    display_name: DisplayName | None = None
    redirect_uris: RedirectUris = Field(default_factory=list)
    post_logout_redirect_uris: RedirectUris = Field(default_factory=list)
    grant_types: GrantTypes = ["authorization_code"]
    gate_hosts: GateHosts = Field(
        default_factory=list, description="Lower case, with the port where it is not the scheme's."
    )
    public: StrictBool = Field(False, description="A browser or native app: it gets no secret.")
    policy: PolicyBody = Field(default_factory=PolicyBody)


class ApplicationPatch(Body, ClientPatch):
    display_name: DisplayName = Field(default_factory=absent)
    redirect_uris: RedirectUris = Field(default_factory=absent)
    post_logout_redirect_uris: RedirectUris = Field(default_factory=absent)
    grant_types: GrantTypes = Field(default_factory=absent)
    gate_hosts: GateHosts = Field(default_factory=absent)
    enabled: StrictBool = Field(default_factory=absent)
    policy: PolicyBody = Field(default_factory=absent)


class UserBody(Body):
    organization: Name
    name: UserName
    password: Password | None = Field(None, repr=False)
    email: Email | None = None
    display_name: DisplayName | None = None
    roles: Roles = Field(default_factory=list)
    locale: Language | None = None
    zoneinfo: TimeZone | None = None


class UserPatch(Body):
    password: Password = Field(default_factory=absent, repr=False)
    email: Email | None = Field(default_factory=absent, description="null removes it.")
    display_name: DisplayName = Field(default_factory=absent)
    roles: Roles = Field(default_factory=absent)
    enabled: StrictBool = Field(default_factory=absent)
    locale: Language | None = Field(
        default_factory=absent, description="null: what browsers ask for."
    )
    zoneinfo: TimeZone | None = Field(default_factory=absent, description="null: the browser's.")


class WebhookBody(Body):
    organization: Name | None = Field(
        description="null: of the whole installation; only its administrators may say that."
    )
    url: WebhookUrl
    event_types: EventTypes


class WebhookPatch(Body):
    url: WebhookUrl = Field(default_factory=absent)
    event_types: EventTypes = Field(default_factory=absent)
    enabled: StrictBool = Field(default_factory=absent)
