"""Asking somebody else's server something: to an address that was checked, bounded in time and size.

Never from within a transaction: whoever is asked may take as long as they are let.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from iam.delivery.addresses import WebhookUrlRefused, resolve
from iam.delivery.provider_addresses import ProviderUrlRefused, check_url
from iam.delivery.send import ask, open_client
from iam.kernel.clock import Instant, after
from iam.kernel.errors import Unavailable
from iam.languages import _

SECONDS = 10
"""For all of one question: looking up the name, connecting, every byte of the answer."""
LONGEST = 256 * 1024
"""Bytes of an answer that are read; a longer one is none."""
_MOST_DOCUMENTS = 256
_STALE = 24 * 60 * 60
"""Seconds for which a document is good when its server does not answer."""


class FetchFailed(Unavailable):
    """Another server that is needed does not answer, or not in a way that can be understood."""

    code = "provider_unreachable"
    title = "The provider does not answer as it should. Try again in a moment."


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. `text` is its body, whole."""

    status: int
    text: bytes

    def members(self) -> dict[str, Any]:
        """The JSON object that the body is.

        Raises:
            FetchFailed: it is none.
        """
        found = self.value()
        if not isinstance(found, dict):
            raise FetchFailed("It answered with something that is no JSON object.")
        return found

    def value(self) -> Any:
        """What the body says in JSON.

        Raises:
            FetchFailed: it is no JSON.
        """
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError) as error:
            raise FetchFailed("It answered with something that is no JSON.") from error


class Fetcher:
    """Asks. Belongs to one event loop; `allow_private` is the setting of deliveries."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._client: Any = None

    async def fetch(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Fetched:
        """Ask once. A redirect is an answer like others, and is not followed.

        Raises:
            FetchFailed: no answer, or none in time, or too long a one.
            ProviderUrlRefused: nothing is asked at this address.
        """
        if self._client is None:
            self._client = open_client(SECONDS)
        try:
            async with asyncio.timeout(SECONDS):
                return await self._fetch(method, url, headers, body)
        except WebhookUrlRefused as error:
            raise ProviderUrlRefused(error.detail) from error
        except FetchFailed:
            raise
        except TimeoutError as error:
            raise FetchFailed(_("%(host)s took too long.", host=urlsplit(url).netloc)) from error
        except Exception as error:
            # Whatever an HTTP library makes of what a foreign server sends, or of its name.
            raise FetchFailed(f"{urlsplit(url).netloc}: {type(error).__name__}.") from error

    async def close(self) -> None:
        """Give back what it holds."""
        if self._client is not None:
            await self._client.aclose()

    async def _fetch(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Fetched:
        parts = urlsplit(check_url(url, allow_private=self._allow_private))
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        addresses = await resolve(host, port, allow_private=self._allow_private)
        sent = {
            "accept": "application/json",
            **headers,
            "host": parts.netloc,
            "user-agent": "Hanzo-IAM",
            # What is packed may unpack to any size.
            "accept-encoding": "identity",
        }
        answer = await ask(self._client, method, url, host, addresses, sent, body)
        try:
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise FetchFailed(
                    _("%(host)s answered in an encoding that was not asked for.", host=parts.netloc)
                )
            text = b""
            async for some in answer.aiter_raw():
                text += some
                if len(text) > LONGEST:
                    raise FetchFailed(
                        _(
                            "%(host)s answered with more than %(number)s bytes.",
                            host=parts.netloc,
                            number=LONGEST,
                        )
                    )
            return Fetched(answer.status_code, text)
        finally:
            await answer.aclose()


@dataclass(frozen=True, slots=True)
class _Kept:
    at: Instant
    members: dict[str, Any]


class Documents:
    """JSON documents that others publish (discovery, keys), kept for a while: whoever needs one that is
    being fetched waits for that. They decide nothing about any session that there is."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._kept: dict[str, _Kept] = {}
        self._under_way: dict[str, asyncio.Task[_Kept]] = {}

    async def get(self, url: str, now: Instant, *, max_age: int) -> dict[str, Any]:
        """The document at this address, not older than `max_age` seconds, unless its server does not
        answer: then one of the last day will do.

        Raises:
            FetchFailed, ProviderUrlRefused: there is none to be had.
        """
        kept = self._kept.get(url)
        if kept is not None and now < after(kept.at, max_age):
            return kept.members
        task = self._under_way.get(url)
        if task is None:
            task = asyncio.create_task(self._fetch(url, now))
            self._under_way[url] = task
            task.add_done_callback(partial(self._done, url))
        try:
            # Not ours alone: a caller who goes away must not take it from the others.
            return (await asyncio.shield(task)).members
        except FetchFailed:
            if kept is not None and now < after(kept.at, _STALE):
                return kept.members
            raise

    def _done(self, url: str, task: "asyncio.Task[_Kept]") -> None:
        self._under_way.pop(url, None)
        if not task.cancelled():
            task.exception()  # looked at, though everybody who waited may have gone

    async def _fetch(self, url: str, now: Instant) -> _Kept:
        answer = await self._fetcher.fetch("GET", url, {})
        if answer.status != 200:
            raise FetchFailed(f"{url} answered {answer.status}.")
        kept = _Kept(now, answer.members())
        self._kept.pop(url, None)
        self._kept[url] = kept
        while len(self._kept) > _MOST_DOCUMENTS:
            del self._kept[next(iter(self._kept))]
        return kept
