"""What is told to a person, because whoever sent the message cannot be answered or is not believed."""

from iam.kernel.errors import Invalid


class SamlMessageRefused(Invalid):
    """The message cannot be understood, is too old, or is not for us."""

    code = "saml_message_refused"
    title = "This SAML message cannot be accepted."


class SamlSignatureRefused(Invalid):
    """The message is not signed as it must be, or by somebody else, or was changed."""

    code = "saml_signature_refused"
    title = "The signature of this SAML message is not right."


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
