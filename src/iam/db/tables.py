"""Every table, on one page (those of OAuth are in `token_tables`). Instants are milliseconds since 1970
UTC, durations are seconds.

The columns say `user_name`, not `user`: in PostgreSQL `select user` is the database role, and nobody
should find that out at three in the morning. To read an instant there: `to_timestamp(created_at / 1000.0)`.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
    }
)

# ARRAY with a JSON variant works on both; the other way round loses PostgreSQL's array operators.
StringArray = ARRAY(Text).with_variant(JSON(), "sqlite")

organization = Table(
    "organization",
    metadata,
    Column("name", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("created_at", BigInteger, nullable=False),
)

user_account = Table(
    "user_account",
    metadata,
    # The OIDC subject: never given to anyone else, even when the name is.
    Column("id", Text, primary_key=True),
    Column("organization", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("password_hash", Text),
    Column("display_name", Text, nullable=False),
    Column("email", Text),
    Column("roles", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # How pages speak to them (OpenID Connect Core §5.1); null: as the browser says.
    Column("locale", Text),
    Column("zoneinfo", Text),
    ForeignKeyConstraint(["organization"], ["organization.name"]),
    Index("uq_user_account_organization_name", "organization", "name", unique=True),
)

application = Table(
    "application",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("client_id", Text, nullable=False, unique=True),
    # SHA-256 of a secret with 256 bits of entropy; null for a public client, which has none.
    Column("secret_hash", LargeBinary),
    Column("display_name", Text, nullable=False),
    Column("redirect_uris", JSON, nullable=False),
    Column("post_logout_redirect_uris", JSON, nullable=False),
    Column("grant_types", JSON, nullable=False),
    # How it takes part in OpenID Connect: directory.openid_settings.
    Column("require_pkce", Boolean, nullable=False),
    Column("default_max_age", Integer),
    Column("consent", Text, nullable=False),  # none | required
    Column("backchannel_logout_uri", Text),
    Column("backchannel_logout_session_required", Boolean, nullable=False),
    Column("frontchannel_logout_uri", Text),
    Column("frontchannel_logout_session_required", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # none | client_secret_basic | client_secret_post | private_key_jwt; null: the secret, either way
    Column("token_endpoint_auth_method", Text),
    Column("jwks", JSON(none_as_null=True)),
    Column("id_token_signed_response_alg", Text, nullable=False, server_default=text("'RS256'")),
    Column("access_token_format", Text, nullable=False, server_default=text("'jwt'")),
    Column("resources", JSON, nullable=False, server_default=text("'[]'")),
    Column(
        "require_pushed_authorization_requests", Boolean, nullable=False, server_default=false()
    ),
    Column("dpop_bound_access_tokens", Boolean, nullable=False, server_default=false()),
    # Whether its credentials administer its organization on the paths of Hanzo and Casdoor.
    Column("manages_organization", Boolean, nullable=False, server_default=false()),
    ForeignKeyConstraint(["organization"], ["organization.name"]),
)

gate_host = Table(
    "gate_host",
    metadata,
    # Lower case, with the port where it is not the scheme's own: exactly one application answers there.
    Column("host", Text, primary_key=True),
    Column("organization", Text, nullable=False),
    Column("application", Text, nullable=False),
    ForeignKeyConstraint(
        ["organization", "application"],
        ["application.organization", "application.name"],
        ondelete="CASCADE",
    ),
)

policy = Table(
    "policy",
    metadata,
    # installation | organization | application | role | user
    Column("layer", Text, primary_key=True),
    Column("organization", Text, primary_key=True),  # '' where the layer has none
    # The application's, the role's or the user's; '' where the layer has none.
    Column("name", Text, primary_key=True),
    # The knobs (sessions.knobs); null leaves one to the other layers.
    Column("idle_timeout", Integer),
    Column("maximum_lifetime", Integer),
    Column("remember_idle_timeout", Integer),
    Column("remember_maximum_lifetime", Integer),
    Column("exclusive", Boolean),
    Column("maximum_sessions", Integer),
    Column("at_limit", Text),
    Column("maximum_user_sessions", Integer),
    Column("reauthentication_age", Integer),
    Column("end_children", Boolean),
    Column("notify_on_expiry", Boolean),
)

session = Table(
    "session",
    metadata,
    Column("id", Text, primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("organization", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("application", Text, nullable=False),
    Column("parent", Text),
    Column("instance", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("authenticated_at", BigInteger),
    Column("last_active_at", BigInteger, nullable=False),
    # Wide, so that `idle_timeout * 1000` cannot overflow in PostgreSQL's arithmetic.
    Column("idle_timeout", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    # No later than the instant at which the session is over by itself: where the sweep looks. Activity
    # leaves it alone, so that a touch writes no index; who is found alive there gets a later one.
    Column("check_at", BigInteger, nullable=False),
    # A cut session (sessions.cut) is over for this reason before its end is noted at `ended_at`.
    Column("ended_at", BigInteger),
    Column("end_reason", Text),
    Column("ended_by", Text),
    # Who the gate says this is: kept in step with the user in the transaction that changes them.
    Column("display_name", Text, nullable=False),
    Column("email", Text),
    Column("roles", Text, nullable=False),  # joined by commas, as the header has them
    Column("amr", JSON, nullable=False),
    Column("acr", Text),
    Column("ip", Text),
    Column("user_agent", Text),
    Column("device", Text),
    Column("metadata", JSON, nullable=False),
    # `ip` as 16 bytes (kernel.addresses): a network is a range of them.
    Column("address", LargeBinary),
    # The browser session it was entered from, where it does not end with that one (`parent` is null).
    Column("entered_through", Text),
    # Its holder asked to be kept signed in.
    Column("remembered", Boolean, nullable=False, server_default=false()),
    # Since when it is refused until its user has shown their password (sessions.lock); it lives on.
    Column("locked_at", BigInteger),
    # On SQLite the key's tree is the table: half the pages to read for a validation.
    sqlite_with_rowid=False,
    # On PostgreSQL a page keeps room for a touched row's next version, beside the former one.
    postgresql_with={"fillfactor": 85},
)

# The instant at which a live session is over by itself. The verdict is always
# `sessions.policy.end_reason`.
DUE_AT = text(
    "(CASE WHEN expires_at < last_active_at + idle_timeout * 1000 "
    "THEN expires_at ELSE last_active_at + idle_timeout * 1000 END)"
)
_LIVE = text("ended_at IS NULL")
_ENDED = text("ended_at IS NOT NULL")
for _name, _columns, _where in (
    # A start writes those of the live sessions, an end those of the history: few here, more there.
    ("ix_session_due", ("check_at",), _LIVE),
    ("ix_session_listed", ("organization", "id"), _LIVE),
    ("ix_session_user", ("user_name", "organization", "id"), _LIVE),
    ("ix_session_application", ("application", "organization", "id"), _LIVE),
    ("ix_session_address", ("address", "id"), text("ended_at IS NULL AND address IS NOT NULL")),
    ("ix_session_instance", ("instance", "id"), text("ended_at IS NULL AND instance IS NOT NULL")),
    (
        "ix_session_locked",
        ("organization", "id"),
        text("ended_at IS NULL AND locked_at IS NOT NULL"),
    ),
    ("ix_session_children", ("parent",), text("parent IS NOT NULL")),
    ("ix_session_entered_through", ("entered_through",), text("entered_through IS NOT NULL")),
    ("ix_session_ended", ("ended_at",), _ENDED),
    # Of all organizations: by the key alone one would pass millions of the other side on the way. Both grow
    # at their end only, which costs next to nothing.
    ("ix_session_live_all", ("id",), _LIVE),
    ("ix_session_ended_all", ("id",), _ENDED),
    ("ix_session_ended_listed", ("organization", "id"), _ENDED),
    ("ix_session_ended_user", ("user_name", "organization", "id"), _ENDED),
    ("ix_session_ended_application", ("application", "organization", "id"), _ENDED),
    (
        "ix_session_ended_address",
        ("address", "id"),
        text("ended_at IS NOT NULL AND address IS NOT NULL"),
    ),
    (
        "ix_session_ended_instance",
        ("instance", "id"),
        text("ended_at IS NOT NULL AND instance IS NOT NULL"),
    ),
):
    Index(
        _name,
        *(session.c[_column] for _column in _columns),
        postgresql_where=_where,
        sqlite_where=_where,
    )

consent = Table(
    "consent",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("client_id", Text, primary_key=True),
    Column("scopes", JSON, nullable=False),
    Column("granted_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["user_id"], ["user_account.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["client_id"], ["application.client_id"], ondelete="CASCADE"),
)

session_record = Table(
    "session_record",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("user_name", Text, primary_key=True),
    Column("application", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("session_ids", StringArray, nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("organization", Text),
    Column("user_name", Text),
    Column("application", Text),
    Column("session_id", Text),
    Column("reason", Text),
    Column("ip", Text),
    Column("user_agent", Text),
    Column("data", JSON, nullable=False),
    # PostgreSQL: which transaction wrote it, filled in by the database; what the live feed follows.
    Column("txid", BigInteger),
    Index(
        "ix_event_txid_id",
        "txid",
        "id",
        postgresql_where=text("txid IS NOT NULL"),
        sqlite_where=text("txid IS NOT NULL"),
    ),
    Index("ix_event_organization_id", "organization", "id"),
    Index(
        "ix_event_session_id",
        "session_id",
        "id",
        postgresql_where=text("session_id IS NOT NULL"),
        sqlite_where=text("session_id IS NOT NULL"),
    ),
)

event_count = Table(
    "event_count",
    metadata,
    # '' is all of the installation, also what belongs to no organization.
    Column("organization", Text, primary_key=True),
    Column("hour", BigInteger, primary_key=True),  # the instant at which it began
    # A type of event, of an end with its reason (`session.ended:idle`); or `counted`, once for each hour.
    Column("kind", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
)

bulk_end = Table(
    "bulk_end",
    metadata,
    # What a dry run answers as `confirm`, and what a call goes on with as `cursor`.
    Column("id", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("filter", JSON, nullable=False),
    Column("note", Text),
    # How many sessions it was about when it was proposed, and of those started before which instant.
    Column("number", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("confirmed_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("processed", BigInteger, nullable=False),
    # The last session ID that was dealt with; '' at first.
    Column("position", Text, nullable=False),
)

one_time_code = Table(
    "one_time_code",
    metadata,
    Column("code_hash", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),  # oidc | gate
    Column("browser_session", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    # A used code is remembered until it expires, so that its second use is seen as what it is.
    Column("used_at", BigInteger),
    Column("started_session", Text),
)

throttle = Table(
    "throttle",
    metadata,
    Column("key", Text, primary_key=True),  # account:<organization>/<name> or address:<network>
    Column("failures", Integer, nullable=False),
    Column("last_failed_at", BigInteger, nullable=False, index=True),
    Column("blocked_until", BigInteger, nullable=False),
)

signing_key = Table(
    "signing_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("algorithm", Text, nullable=False),
    Column("private_key", Text, nullable=False),  # PEM, PKCS #8, encrypted (keys.cipher)
    Column("created_at", BigInteger, nullable=False),
    # Published at once, it signs from then on.
    Column("active_at", BigInteger, nullable=False, server_default=text("0")),
)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
