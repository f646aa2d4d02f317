"""The words of SAML 2.0 that its messages are made of."""

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
SOAP_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
XS = "http://www.w3.org/2001/XMLSchema"

ENTITY = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
NAME_ID_FORMATS = {
    "persistent": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    "transient": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
    "emailAddress": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    "unspecified": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
}

_STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
SUCCESS = f"{_STATUS}Success"
REQUESTER = f"{_STATUS}Requester"
RESPONDER = f"{_STATUS}Responder"
NO_PASSIVE = f"{_STATUS}NoPassive"
NO_AUTHN_CONTEXT = f"{_STATUS}NoAuthnContext"
INVALID_NAME_ID_POLICY = f"{_STATUS}InvalidNameIDPolicy"
REQUEST_DENIED = f"{_STATUS}RequestDenied"
UNKNOWN_PRINCIPAL = f"{_STATUS}UnknownPrincipal"
AUTHN_FAILED = f"{_STATUS}AuthnFailed"
UNSUPPORTED_BINDING = f"{_STATUS}UnsupportedBinding"
PARTIAL_LOGOUT = f"{_STATUS}PartialLogout"

_CLASSES = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
UNSPECIFIED = f"{_CLASSES}unspecified"
PASSWORD = f"{_CLASSES}Password"
PASSWORD_PROTECTED_TRANSPORT = f"{_CLASSES}PasswordProtectedTransport"
