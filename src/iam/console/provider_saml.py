"""SAML identity providers in the console: their fields, where their metadata comes from, and what it says.

Our own addresses are the same for all of them (`saml.service_metadata`): who sets up the other side needs
them first, so they stand on the form as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from iam.console.forms import Field, Sent
from iam.delivery.documents import DocumentUnavailable
from iam.delivery.provider_addresses import ProviderUrlRefused, check_url
from iam.delivery.saml_sources import fetch_metadata, signer_certificate
from iam.directory.patterns import WEBHOOK_URL_PATTERN
from iam.directory.saml_identity import (
    Comparison,
    UpstreamOptions,
    read_identity_metadata,
    upstream_options,
)
from iam.directory.saml_metadata import SamlMetadataRefused
from iam.directory.saml_sources import SamlSource
from iam.kernel.clock import Instant, from_iso
from iam.kernel.errors import IamError
from iam.kernel.xml import XmlRefused
from iam.keys.xml_signatures import SamlSignatureRefused
from iam.languages import N_, _, gettext, written
from iam.settings import Settings
from iam.web.pages import moment

LONGEST_METADATA = 50_000
"""Characters of metadata that is sent as a document."""
_LONGEST_CERTIFICATE = 10_000
_URI = r"[!-~]+"
_FORMAT = "urn:oasis:names:tc:SAML:{}:nameid-format:{}"
FORMATS = (
    ("", N_("As the provider decides")),
    (_FORMAT.format("2.0", "persistent"), N_("persistent: a name that lasts and says nothing")),
    (_FORMAT.format("1.1", "emailAddress"), N_("emailAddress: their address")),
    (_FORMAT.format("1.1", "unspecified"), N_("unspecified: whatever it has")),
    (_FORMAT.format("2.0", "transient"), N_("transient: another one each time")),
)
BINDINGS = (
    ("redirect", N_("HTTP-Redirect")),
    ("post", N_("HTTP-POST")),
)
COMPARISONS: tuple[tuple[Comparison, str], ...] = (
    ("exact", N_("exact: one of them")),
    ("minimum", N_("minimum: at least as strong as one of them")),
    ("maximum", N_("maximum: as strong as possible, and no stronger than one of them")),
    ("better", N_("better: stronger than all of them")),
)
FIELDS = (
    Field(
        name="metadata_url",
        label=N_("Address of its metadata"),
        either=True,
        hint=N_(
            "The best way, if it has one: it is fetched now and every six hours, so that the provider can "
            "change its keys by itself."
        ),
    ),
    Field(
        name="metadata",
        label=N_("Or its metadata as text"),
        kind="document",
        either=True,
        hint=N_(
            "The EntityDescriptor of the identity provider, as XML. Send the new one when it changes."
        ),
    ),
    Field(
        name="subject_attribute",
        label=N_("Attribute that says who somebody is"),
        hint=N_(
            "Instead of the NameID. Needed if that is another one each time: a number or name that "
            "stays, such as uid."
        ),
    ),
    Field(
        name="options",
        label=N_("Options"),
        kind="choices",
        options=(
            ("sign_out_there", N_("Whoever signs out here is led on to sign out there")),
            (
                "allow_unsolicited",
                N_("People may come from its portal, without having been sent there from here"),
            ),
        ),
        value=(),
    ),
    Field(
        name="metadata_signer",
        label=N_("Certificate that must have signed the metadata"),
        kind="lines",
        hint=N_("PEM. Goes with the address: without it, https alone says whose the metadata is."),
        more=True,
    ),
    Field(
        name="name_id_format",
        label=N_("Form of name to ask for"),
        kind="choice",
        options=FORMATS,
        more=True,
    ),
    Field(
        name="request_binding",
        label=N_("People are sent there by"),
        kind="choice",
        options=BINDINGS,
        value="redirect",
        more=True,
    ),
    Field(
        name="context_classes",
        label=N_("Classes of authentication to insist on"),
        kind="lines",
        hint=N_("URIs, one a line, at most 10. Empty: any will do."),
        more=True,
    ),
    Field(
        name="context_comparison",
        label=N_("How it has to compare with them"),
        kind="choice",
        options=COMPARISONS,
        value="exact",
        more=True,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the form says: where the metadata comes from (`document` or `url`; neither: as it is), and how the
    provider is used, which are the other members of `UpstreamOptions`."""

    document: str | None
    url: str | None
    signer: str | None
    use: Mapping[str, Any]


def our_addresses(issuer: str) -> list[tuple[str, str]]:
    """What an identity provider has to know of us, in words and as it stands in our metadata."""
    return [
        (_("Our metadata, if it takes an address"), f"{issuer}/saml/sp/metadata"),
        (_("Entity ID (audience)"), f"{issuer}/saml/sp/metadata"),
        (_("Assertion consumer service, by POST"), f"{issuer}/saml/acs"),
        (_("Single logout, by Redirect, POST or SOAP"), f"{issuer}/saml/sp/slo"),
    ]


def values_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the fields of a provider that there is. Its document does not: an empty field leaves
    it, and 50,000 characters would hide the rest of the form."""
    stored = upstream_options(options)
    return {
        "metadata_url": stored.metadata_url or "",
        "metadata": "",
        "metadata_signer": stored.metadata_signer or "",
        "subject_attribute": stored.subject_attribute or "",
        "name_id_format": stored.name_id_format or "",
        "request_binding": stored.request_binding,
        "context_classes": "\n".join(stored.context_classes),
        "context_comparison": stored.context_comparison,
        "options": [one for one, _words in FIELDS[3].options if getattr(stored, one)],
    }


def with_format(fields: Sequence[Field], options: Mapping[str, Any]) -> list[Field]:
    """The fields, with the form of name that is asked for among the choices, whatever it is: one that the
    API has set is not lost by saving another field."""
    wanted = options.get("name_id_format")
    if not wanted or wanted in dict(FORMATS):
        return list(fields)
    widened = (*FORMATS, (wanted, wanted))
    return [one.with_options(widened) if one.name == "name_id_format" else one for one in fields]


def read_given(sent: Sent, settings: Settings, before: UpstreamOptions | None) -> Given:
    """What the form says, and in `sent.wrong` what is wrong as far as can be seen without asking anybody."""
    url = sent.text(
        "metadata_url",
        longest=1024,
        pattern=WEBHOOK_URL_PATTERN,
        words=_("Give an address such as https://login.example.com/metadata."),
    )
    if url:
        try:
            check_url(url, allow_private=settings.delivery_allow_private)
        except ProviderUrlRefused as error:
            sent.wrong["metadata_url"] = gettext(error.detail or error.title)
    document = sent.fields.get("metadata", "")
    document = document if document.strip() else ""
    if len(document) > LONGEST_METADATA:
        sent.wrong["metadata"] = _(
            "At most %(number)s characters.", number=written(LONGEST_METADATA)
        )
    elif document and sent.fields.get("metadata_url", "").strip():
        sent.wrong["metadata"] = _("Give either the address or the document, not both.")
    elif before is None and not document and "metadata_url" not in sent.wrong and not url:
        sent.wrong["metadata_url"] = _("Give its address here, or the document below.")
    signer = sent.fields.get("metadata_signer", "").strip()
    if signer:
        _check_signer(sent, signer, url)
    known: Sequence[tuple[str, str]] = FORMATS
    if before is not None and before.name_id_format:
        known = (*FORMATS, (before.name_id_format, before.name_id_format))
    classes = sent.lines(
        "context_classes",
        pattern=_URI,
        words=_("give a URI such as urn:oasis:names:tc:SAML:2.0:ac:classes:X509."),
        longest=256,
        most=10,
    )
    chosen = sent.choices("options", FIELDS[3].options)
    use = {
        "subject_attribute": sent.text(
            "subject_attribute",
            longest=256,
            pattern=_URI,
            words=_("Visible characters, without spaces."),
        )
        or None,
        "name_id_format": sent.choice("name_id_format", known) or None,
        "request_binding": sent.choice("request_binding", BINDINGS),
        "context_classes": tuple(classes),
        "context_comparison": sent.choice("context_comparison", COMPARISONS),
        **{one: one in chosen for one, _words in FIELDS[3].options},
    }
    return Given(document=document or None, url=url or None, signer=signer or None, use=use)


def make_options(
    given: Given,
    before: UpstreamOptions | None,
    settings: Settings,
    now: Instant,
    wrong: dict[str, str],
) -> tuple[UpstreamOptions, bool] | None:
    """The options as they are stored, and whether their metadata has been taken anew; None: it cannot be
    used, and `wrong` says at which field why. Blocks where it is fetched; not for inside a transaction."""
    field = "metadata" if given.document is not None else "metadata_url"
    source = (given.url, given.signer)
    kept = before is not None and (before.metadata_url, before.metadata_signer) == source
    try:
        if given.document is not None:
            text = given.document
        elif given.url is None or kept:
            # Not given anew: the address as it was, or none any more.
            text = before.metadata if before is not None else ""
        else:
            text = fetch_metadata(given.url, given.signer, settings, now)
        entity_id = read_identity_metadata(text).entity_id
    except IamError as error:
        wrong[field] = _why(error)
        return None
    taken = given.document is not None or not kept
    options = UpstreamOptions(
        metadata=text,
        entity_id=entity_id,
        metadata_url=given.url,
        metadata_signer=given.signer,
        **given.use,
    )
    return options, taken


def refetched(options: UpstreamOptions, settings: Settings, now: Instant) -> UpstreamOptions:
    """The same with the metadata that is at its address now. Blocks, and not for inside a transaction.

    Raises:
        SamlMetadataRefused: it is of another entityID; or as `fetch_metadata` says.
    """
    text = fetch_metadata(options.metadata_url or "", options.metadata_signer, settings, now)
    if read_identity_metadata(text).entity_id != options.entity_id:
        raise SamlMetadataRefused(_("It is of another entityID than before."))
    return replace(options, metadata=text)


def metadata_of(
    options: Mapping[str, Any], source: SamlSource | None, now: Instant
) -> dict[str, Any]:
    """What a page says of a provider's metadata."""
    stored = upstream_options(options)
    said = read_identity_metadata(stored.metadata)
    return {
        "entity_id": said.entity_id,
        "url": stored.metadata_url,
        "fetched": moment(source.fetched_at, now) if source is not None else None,
        "failed": source.failed if source is not None else None,
        "sign_on": list(dict.fromkeys(url for _binding, url in said.sign_on)),
        "logout": list(dict.fromkeys(one.url for one in said.logout)),
        "signed": said.wants_signed_requests,
        "certificates": [_certificate(one, now) for one in said.certificates],
    }


def _certificate(der: bytes, now: Instant) -> dict[str, Any]:
    certificate = x509.load_der_x509_certificate(der)
    until = from_iso(certificate.not_valid_after_utc.isoformat())
    return {
        "fingerprint": certificate.fingerprint(SHA256()).hex(":").upper(),
        "until": moment(until, now),
        "over": until <= now,
    }


def _check_signer(sent: Sent, signer: str, url: str) -> None:
    if not url:
        sent.wrong["metadata_signer"] = _("This goes with the address of its metadata.")
        return
    try:
        if len(signer) > _LONGEST_CERTIFICATE:
            raise SamlMetadataRefused
        signer_certificate(signer)
    except SamlMetadataRefused:
        sent.wrong["metadata_signer"] = _(
            "Give one certificate as PEM, from -----BEGIN CERTIFICATE----- on."
        )


def _why(error: IamError) -> str:
    """A refusal in words; what a library or the other side said stands in it as it is."""
    said = gettext(error.detail or error.title)
    if isinstance(error, DocumentUnavailable | ProviderUrlRefused):
        return _("It could not be fetched: %(why)s", why=said)
    if isinstance(error, XmlRefused):
        return _("It could not be read as XML: %(why)s", why=said)
    if isinstance(error, SamlSignatureRefused):
        return _("Its signature does not hold: %(why)s", why=said)
    return said
