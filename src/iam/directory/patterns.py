"""The form of addresses that applications, webhooks and people have, as patterns: every door that takes
them states and checks the same."""

_PORT = r"(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL}){{0,10}}"
OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_LOOPBACK = rf"(?:localhost|127\.{OCTET}\.{OCTET}\.{OCTET}|\[::1\])"
# Printable ASCII of RFC 3986, without the '#' that would begin a fragment (RFC 6749 §3.1.2).
_URI = r"[A-Za-z0-9._~:/?@!$&'()*+,;=%-]*"
REDIRECT_URI_PATTERN = (
    rf"^(?:https://{_HOST}{_PORT}(?:[/?]{_URI})?"
    rf"|http://{_LOOPBACK}{_PORT}(?:[/?]{_URI})?"
    # A private-use scheme is a reversed domain name (RFC 8252 §7.1), so it has a dot; that also
    # shuts out javascript:, data: and their kind.
    rf"|[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:{_URI})$"
)
_LOWER = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
GATE_HOST_PATTERN = rf"^{_LOWER}(?:\.{_LOWER}){{0,10}}{_PORT}$"
WEBHOOK_URL_PATTERN = rf"^https?://{_HOST}{_PORT}(?:[/?]{_URI})?$"
EMAIL_PATTERN = r"^[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}$"
# An issuer has no query (OpenID Connect Discovery §3).
ISSUER_PATTERN = rf"^https?://{_HOST}{_PORT}(?:/[A-Za-z0-9._~:/@!$&'()*+,;=%-]*)?$"
