"""Their signing key: with it, applications that keep a certificate of theirs go on checking tokens."""

from collections import Counter

from sqlalchemy import Connection

from iam.directory.applications import list_applications
from iam.directory.moved import Mark, add_marks, read_marks
from iam.directory.organizations import list_organizations
from iam.kernel.clock import after
from iam.keys.adopted import KeyPublished, KeyUnusable, adopt
from iam.keys.signing import PUBLISHED_AHEAD, add_keys
from iam.moving.findings import Finding, Reason
from iam.moving.move import Move
from iam.moving.records import Malformed, Record, left_over, text_of

_DEFAULT = "cert-built-in"
"""What signs for an application that names no certificate."""
_TAKEN = frozenset(
    {
        *("owner", "name", "createdTime", "displayName", "scope", "type", "cryptoAlgorithm"),
        *("bitSize", "expireInYears", "certificate", "privateKey"),
    }
)


def take_certs(move: Move) -> None:
    """Of each algorithm take over the key that signs for most of the applications that moved in."""
    used = Counter(one.cert or _DEFAULT for one in move.clients)
    records = move.source.all_of("certs")
    taken: set[str] = set()
    for record in sorted(
        records, key=lambda one: (-used[str(one.get("name"))], str(one.get("name")))
    ):
        source = f"{record.get('owner')!s:.100}/{record.get('name')!s:.100}"
        try:
            algorithm = text_of(record, "cryptoAlgorithm") or "RS256"
            reason = _refusal(move, record, used, taken, algorithm)
            if reason is None:
                _take(move, source, record, algorithm)
                taken.add(algorithm)
            else:
                move.report.add("cert", source, "refused", (Finding(None, reason),))
        except Malformed as error:
            move.report.add("cert", source, "refused", (Finding(error.field, Reason.MALFORMED),))
        except KeyPublished:
            move.report.add("cert", source, "refused", (Finding(None, Reason.CERT_PUBLISHED),))
        except KeyUnusable:
            move.report.add("cert", source, "refused", (Finding(None, Reason.CERT_UNUSABLE),))


def _refusal(
    move: Move, record: Record, used: Counter[str], taken: set[str], algorithm: str
) -> Reason | None:
    if text_of(record, "scope") not in ("", "JWT"):
        return Reason.NOT_SUPPORTED
    if not move.options.signing_key:
        return Reason.NOT_WANTED
    # Not by an organization's own certificate of that name: whoever owns it could sign for all.
    owners = ("admin", "built-in", "")
    if not used[text_of(record, "name")] or text_of(record, "owner") not in owners:
        return Reason.CERT_UNUSED
    return Reason.CERT_OTHER if algorithm in taken else None


def _take(move: Move, source: str, record: Record, algorithm: str) -> None:
    now = move.clock()
    # Where tokens are checked already, everybody has to learn of the new key before it signs.
    busy = move.database.read(_applications) > len(move.clients)
    active_at = after(now, PUBLISHED_AHEAD) if busy else now
    key = adopt(
        text_of(record, "privateKey"),
        text_of(record, "certificate"),
        algorithm,
        active_at=active_at,
        now=now,
        random=move.random,
    )
    digest = key.fingerprint
    mark = move.database.read(lambda c: read_marks(c, "cert", [source])).get(source)
    if mark is not None:
        changed = (Finding(None, Reason.CHANGED_SINCE),) if mark.digest != digest else ()
        move.report.add("cert", source, "there", changed)
        return

    def work(connection: Connection) -> None:
        add_keys(connection, [key.signing_key], move.cipher, move.random)
        mark = Mark(source=source, organization=None, name=key.signing_key.id, digest=digest)
        add_marks(connection, "cert", [mark], now)
        data = {"keys": [key.signing_key.id], "forgotten": [], "moved_in": True}
        move.note(connection, "keys.rotated", [{"data": data}])

    move.write(work)
    others = tuple(Finding(one, Reason.NO_PLACE) for one in left_over(record, _TAKEN))
    move.report.add("cert", source, "taken", others)


def _applications(connection: Connection) -> int:
    """How many there are, without the server's own."""
    found = list_organizations(connection, limit=1_000_000)
    return sum(len(list_applications(connection, one.name, limit=1_000_000)) for one in found) - 1
