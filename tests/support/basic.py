"""HTTP Basic, as an application authenticates."""

import base64
from typing import Any


def basic(application: dict[str, Any]) -> dict[str, str]:
    """Headers with the client credentials of an application as the API answered it."""
    pair = f"{application['client_id']}:{application['client_secret']}"
    return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
