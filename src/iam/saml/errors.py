"""What is told to a person, because whoever sent the message cannot be answered or is not believed."""

from iam.kernel.errors import Invalid, Missing
from iam.languages import N_

OF_XML = (
    N_("Its encoding must be UTF-8."),
    N_("It is not UTF-8."),
    N_("A document type is never read."),
    N_("It is not well-formed."),
    N_("Comments, instructions and entities are not accepted."),
    N_("It is nested too deep, or has too many elements."),
    N_("Two elements have the same ID."),
    N_("A yes or no must be true or false."),
)
"""What `kernel.xml` says of a document, which knows of no languages: here for the catalogs alone."""


class SamlMessageRefused(Invalid):
    """The message cannot be understood, is too old, or is not for us."""

    code = "saml_message_refused"
    title = "This SAML message cannot be accepted."


class SamlSenderUnknown(Invalid):
    """No enabled application has this entityID."""

    code = "saml_sender_unknown"
    title = "This application is not known here."


class SamlConsumerUnknown(Invalid):
    """The answer would go where the application has registered nothing."""

    code = "saml_consumer_unknown"
    title = "This return address is not registered."


class SamlMessageUsed(Invalid):
    """The message came before (replay), or its sign-in is over."""

    code = "saml_message_used"
    title = "This request was used already."


class SamlEncryptionRefused(Invalid):
    """What is encrypted cannot be read, or is encrypted in a way that is not safe."""

    code = "saml_encryption_refused"
    title = "This SAML message cannot be decrypted."


class SamlAnswerRefused(Invalid):
    """An identity provider's answer is not believed: what it says is not for us, not now, or not for
    this browser."""

    code = "saml_answer_refused"
    title = "You could not be signed in by this answer."


class SamlUpstreamRefused(Invalid):
    """The identity provider has answered that it does not sign this person in."""

    code = "saml_upstream_refused"
    title = "You were not signed in there."


class SamlUpstreamUnknown(Missing):
    """There is no identity provider of this ID, entityID or kind, or it is switched off."""

    code = "saml_upstream_unknown"
    title = "Nobody signs in here this way."
