"""Metadata by address: fetched, held to its signer if one was named, and taken over where it has changed.

An address that fails keeps what it said before: a provider's web site that is down for a night must not
keep people out. What is refused now (no longer signed as it must be, past its `validUntil`) changes nothing
either, and is said where the registration is shown.
"""

from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection

from iam.db import Database
from iam.delivery.documents import fetch_document
from iam.directory.providers import find_provider_by_id, replace_options
from iam.directory.saml_identity import read_identity_metadata, upstream_options
from iam.directory.saml_metadata import LONGEST, SamlMetadataRefused
from iam.directory.saml_providers import find_provider_of, replace_document
from iam.directory.saml_sources import (
    SamlSource,
    due_sources,
    find_source,
    note_look,
    set_source,
)
from iam.kernel.clock import Clock, Instant, from_iso
from iam.kernel.errors import IamError
from iam.kernel.ids import SAML_PROVIDER, is_id
from iam.kernel.xml import parse_xml
from iam.keys.xml_signatures import SamlSignatureRefused, check_enveloped, signature_of
from iam.languages import _
from iam.sessions import rules
from iam.settings import Settings

BATCH = 10
"""Addresses that one look takes: each may take as long as a delivery."""


def fetch_metadata(url: str, signer: str | None, settings: Settings, now: Instant) -> str:
    """The metadata at this address. Blocks, and not for inside a transaction.

    Args:
        signer: a certificate (PEM) whose key must have signed the document; None: https is enough.

    Raises:
        ProviderUrlRefused, DocumentUnavailable: it cannot be had.
        XmlRefused, SamlMetadataRefused: it cannot be read, or its time is over.
        SamlSignatureRefused: it is not signed as it must be.
    """
    data = fetch_document(url, allow_private=settings.delivery_allow_private)
    # In what is signed a comment is no decoration: two readers might see two texts.
    root = parse_xml(data, comments_pass=signer is None, longest=LONGEST)
    if signer is not None:
        signature = signature_of(root)
        if signature is None:
            raise SamlSignatureRefused(_("The metadata must be signed."))
        check_enveloped(root, signature, [signer_certificate(signer)])
    until = root.get("validUntil")
    try:
        over = until is not None and from_iso(until) <= now
    except ValueError:
        raise SamlMetadataRefused(_("Its validUntil cannot be read.")) from None
    if over:
        raise SamlMetadataRefused(_("It is no longer valid: its validUntil has come."))
    return data.decode("utf-8-sig")


def signer_certificate(pem: str) -> bytes:
    """The DER of a certificate as text.

    Raises:
        SamlMetadataRefused: it is none.
    """
    try:
        return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    except ValueError as error:
        raise SamlMetadataRefused("The signer's certificate must be PEM.") from error


def look_at_sources(database: Database, settings: Settings, clock: Clock) -> int:
    """Fetch what it is time to fetch; answer how many were looked at. Run on one node at a time."""
    now = clock()
    due = database.look(lambda c: due_sources(c, now, BATCH))
    for source in due:
        if not database.look(partial(_has_owner, source=source)):
            database.write(partial(set_source, owner=source.owner, url=None, signer=None, now=now))
            continue
        failed: str | None = None
        text = ""
        try:
            text = fetch_metadata(source.url, source.signer, settings, now)
        except IamError as error:
            failed = f"{error.code}: {error.detail or error.title}"
        work = partial(_take_over, source=source, text=text, failed=failed, now=clock())
        database.write(work)
    return len(due)


def _take_over(
    connection: Connection, source: SamlSource, text: str, failed: str | None, now: Instant
) -> None:
    _hold(connection, source)
    found = find_source(connection, source.owner)
    if found is None or (found.url, found.signer) != (source.url, source.signer):
        # Registered otherwise while this was fetched: what another address says, or nobody signed, must
        # not take the place of that.
        return
    if failed is None:
        try:
            # Inside: a document that cannot be used leaves nothing behind.
            with connection.begin_nested():
                _replace(connection, source, text, now)
        except IamError as error:
            failed = f"{error.code}: {error.detail or error.title}"
    note_look(connection, source, failed, now)


def _hold(connection: Connection, source: SamlSource) -> None:
    """Let nobody change the registration that a source belongs to until the commit, as who changes it lets
    nobody else."""
    if is_id(SAML_PROVIDER, source.owner):
        registered = find_provider_of(connection, source.owner)
        owner = registered.organization if registered is not None else None
    else:
        provider = find_provider_by_id(connection, source.owner)
        owner = provider.organization if provider is not None else None
    if owner is not None:
        rules.hold_rules(connection, owner)


def _has_owner(connection: Connection, source: SamlSource) -> bool:
    if is_id(SAML_PROVIDER, source.owner):
        return find_provider_of(connection, source.owner) is not None
    return find_provider_by_id(connection, source.owner) is not None


def _replace(connection: Connection, source: SamlSource, text: str, now: Instant) -> None:
    if is_id(SAML_PROVIDER, source.owner):
        registered = find_provider_of(connection, source.owner)
        if registered is not None and registered.document != text:
            replace_document(connection, registered, text, now=now)
        return
    provider = find_provider_by_id(connection, source.owner)
    if provider is None:
        return
    options = upstream_options(provider.options)
    if options.metadata == text:
        return
    if read_identity_metadata(text).entity_id != read_identity_metadata(options.metadata).entity_id:
        raise SamlMetadataRefused("It is of another entityID than before.")
    replace_options(connection, provider.id, {**provider.options, "metadata": text})
