"""The form of hosts and addresses that applications, webhooks and people have: every door that takes them
states and checks the same."""

from iam.directory.redirect_uris import HOST, PORT, URI

_LOWER = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
GATE_HOST_PATTERN = rf"^{_LOWER}(?:\.{_LOWER}){{0,10}}{PORT}$"
WEBHOOK_URL_PATTERN = rf"^https?://{HOST}{PORT}(?:[/?]{URI})?$"
EMAIL_PATTERN = r"^[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}$"
