"""SAML service providers: what an application is registered with to be one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from iam.db.saml_tables import saml_provider as table
from iam.directory.names import Reserved
from iam.directory.saml_metadata import (
    SOAP,
    LogoutService,
    Metadata,
    SamlMetadataRefused,
    read_metadata,
)
from iam.directory.saml_sources import set_source
from iam.kernel.clock import Instant
from iam.kernel.errors import Conflict, Missing
from iam.kernel.ids import SAML_PROVIDER, make_id
from iam.kernel.secrets import SECRET_BYTES, Random
from iam.languages import _
from iam.sessions import rules
from iam.sessions.model import BUILT_IN_APPLICATION

NameIdFormat = Literal["persistent", "transient", "emailAddress", "unspecified"]
Source = Literal["user_id", "user_name", "display_name", "email", "roles", "organization"]


class SamlProviderMissing(Missing):
    """The application is no SAML service provider."""

    code = "saml_provider_not_found"
    title = "This application is not registered as a SAML service provider."


class EntityTaken(Conflict):
    """Another application has this entityID."""

    code = "saml_entity_taken"
    title = "Another application has this entityID."


@dataclass(frozen=True, slots=True, kw_only=True)
class SamlOptions:
    """What its metadata does not say.

    `require_signed_requests` None: as the metadata says. `logout_ends_browser_session`: a LogoutRequest of
    its ends all that was entered from that browser, not its own session alone. `encrypt_assertion`: only
    it can read what it is told, which needs a key for that in its metadata.
    """

    require_signed_requests: bool | None = None
    sign_response: bool = True
    sign_assertion: bool = True
    name_id_format: NameIdFormat = "persistent"
    attributes: Mapping[str, Source] = field(default_factory=dict)
    allow_idp_initiated: bool = False
    logout_ends_browser_session: bool = True
    encrypt_assertion: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SamlProvider:
    """An application as a service provider. `pairwise_key`: what its users' persistent names are made
    with, so that no two providers can tell that they have the same user."""

    id: str
    organization: str
    application: str
    document: str
    metadata: Metadata
    options: SamlOptions
    pairwise_key: bytes
    created_at: Instant
    updated_at: Instant

    @property
    def entity_id(self) -> str:
        """Its name in every message."""
        return self.metadata.entity_id

    @property
    def requires_signed_requests(self) -> bool:
        """Whether an AuthnRequest without a signature is refused."""
        wanted = self.options.require_signed_requests
        return self.metadata.signs_requests if wanted is None else wanted

    def logout_by(self, *bindings: str) -> LogoutService | None:
        """Where it is told of a logout by the first of these bindings that it has."""
        for binding in bindings:
            for one in self.metadata.logout:
                if one.binding == binding:
                    return one
        return None


def set_provider(
    connection: Connection,
    organization: str,
    application: str,
    document: str,
    options: SamlOptions,
    *,
    source: tuple[str, str | None] | None = None,
    now: Instant,
    random: Random,
) -> SamlProvider:
    """Register an application, which must exist, by this metadata; or replace what it was registered by.

    Args:
        source: the address that the document was fetched from, and who must sign it there (PEM); it is
            looked at again and again. None: it was uploaded.

    Raises:
        XmlRefused, SamlMetadataRefused: the document cannot be used, or not with these options.
        EntityTaken: another application has its entityID.
        Reserved: the application is the server's own.
    """
    if application == BUILT_IN_APPLICATION:
        raise Reserved(_("The application app-built-in is no service provider."))
    metadata = read_metadata(document)
    _check(metadata, options)
    # Alone: metadata that was just fetched from where it came from before must not take the place of this.
    rules.hold_rules(connection, organization)
    values: dict[str, Any] = {
        "entity_id": metadata.entity_id,
        "document": document,
        "options": asdict(options),
        "soap_logout_url": _soap(metadata),
        "updated_at": now,
    }
    here = (table.c.organization == organization, table.c.application == application)
    try:
        with connection.begin_nested():
            if not connection.execute(update(table).where(*here).values(values)).rowcount:
                new = {
                    "id": make_id(SAML_PROVIDER, now, random),
                    "organization": organization,
                    "application": application,
                    "pairwise_key": random(SECRET_BYTES),
                    "created_at": now,
                }
                connection.execute(insert(table), values | new)
    except IntegrityError as error:
        raise EntityTaken from error
    made = find_provider(connection, organization, application)
    url, signer = source or (None, None)
    set_source(connection, made.id, url, signer, now)
    return made


def replace_document(
    connection: Connection, provider: SamlProvider, document: str, *, now: Instant
) -> None:
    """Take over metadata that a provider has published itself: of the same entityID, for the same
    options.

    Raises:
        XmlRefused, SamlMetadataRefused: the document cannot be used, or not with these options.
    """
    metadata = read_metadata(document)
    if metadata.entity_id != provider.entity_id:
        raise SamlMetadataRefused(_("It is of another entityID than before."))
    _check(metadata, provider.options)
    values = {"document": document, "soap_logout_url": _soap(metadata), "updated_at": now}
    connection.execute(update(table).where(table.c.id == provider.id).values(values))


def _soap(metadata: Metadata) -> str | None:
    return next((one.url for one in metadata.logout if one.binding == SOAP), None)


def _check(metadata: Metadata, options: SamlOptions) -> None:
    if not options.sign_response and not options.sign_assertion:
        raise SamlMetadataRefused(_("The response, the assertion or both must be signed."))
    if metadata.wants_signed_assertions and not options.sign_assertion:
        raise SamlMetadataRefused(_("Its metadata wants signed assertions."))
    if options.encrypt_assertion and not metadata.encryption:
        raise SamlMetadataRefused(
            _(
                "An encrypted assertion needs an RSA certificate for encryption in the metadata, and AES-GCM."
            )
        )
    if options.require_signed_requests and not metadata.certificates:
        raise SamlMetadataRefused(_("Signed requests need a certificate in the metadata."))


def find_provider(connection: Connection, organization: str, application: str) -> SamlProvider:
    """The provider that this application is.

    Raises:
        SamlProviderMissing: it is none.
    """
    here = (table.c.organization == organization, table.c.application == application)
    row = connection.execute(select(table).where(*here)).one_or_none()
    if row is None:
        raise SamlProviderMissing
    return _provider(row)


def find_provider_of(connection: Connection, provider_id: str) -> SamlProvider | None:
    """The provider with this ID, None if there is none."""
    row = connection.execute(select(table).where(table.c.id == provider_id)).one_or_none()
    return _provider(row) if row is not None else None


def find_entity(connection: Connection, entity_id: str) -> SamlProvider | None:
    """The provider of this entityID, None if there is none."""
    row = connection.execute(select(table).where(table.c.entity_id == entity_id)).one_or_none()
    return _provider(row) if row is not None else None


def delete_provider(connection: Connection, organization: str, application: str) -> None:
    """Have the application be none any more.

    Raises:
        SamlProviderMissing: it is none.
    """
    here = (table.c.organization == organization, table.c.application == application)
    if not connection.execute(delete(table).where(*here)).rowcount:
        raise SamlProviderMissing


def _provider(row: Row[Any]) -> SamlProvider:
    return SamlProvider(
        id=row.id,
        organization=row.organization,
        application=row.application,
        document=row.document,
        metadata=read_metadata(row.document),
        options=SamlOptions(**row.options),
        pairwise_key=row.pairwise_key,
        created_at=Instant(row.created_at),
        updated_at=Instant(row.updated_at),
    )
