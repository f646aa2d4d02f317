"""Documents that are fetched from addresses which somebody has registered, outside of any request's event
loop: by a job, a command, or an administrator's call in its thread."""

import asyncio

from iam.delivery.fetch import Fetcher, FetchFailed
from iam.kernel.errors import Invalid
from iam.languages import _


class DocumentUnavailable(Invalid):
    """A document could not be fetched from where it should be; `detail` says why."""

    code = "document_unavailable"
    title = "The document cannot be fetched from this address."


def fetch_document(url: str, *, allow_private: bool) -> bytes:
    """What is at this address (see `Fetcher` for its bounds). Blocks; in a thread without an event loop,
    and not inside a transaction.

    Raises:
        ProviderUrlRefused: nothing is asked there.
        DocumentUnavailable: it does not answer in time, not with 200, or with too much.
    """
    return asyncio.run(_fetch(url, allow_private))


async def _fetch(url: str, allow_private: bool) -> bytes:
    fetcher = Fetcher(allow_private=allow_private)
    try:
        answer = await fetcher.fetch("GET", url, {"accept": "application/samlmetadata+xml, */*"})
    except FetchFailed as error:
        raise DocumentUnavailable(error.detail) from None
    finally:
        await fetcher.close()
    if answer.status != 200:
        raise DocumentUnavailable(_("It answered with status %(status)s.", status=answer.status))
    return answer.text
