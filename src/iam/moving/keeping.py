"""What has no use here: kept aside, where clients of the Casdoor paths find it, unless it is a secret."""

import json
from collections.abc import Collection, Mapping

from iam.directory.legacy import LARGEST
from iam.moving.findings import Finding, Reason
from iam.moving.records import Record, natural


def keep(
    record: Record, fields: Collection[str], *, never: Collection[str]
) -> tuple[Mapping[str, object], list[Finding]]:
    """Of these fields what is kept, and what is to be said of each of them.

    Args:
        never: fields that hold secrets, which nobody would look after here.
    """
    kept = {one: natural(one, record[one]) for one in fields if one not in never}
    if _size(kept) > LARGEST:
        kept = {}
    return kept, [
        Finding(one, Reason.KEPT_ASIDE if one in kept else Reason.NO_PLACE) for one in fields
    ]


def _size(kept: Mapping[str, object]) -> int:
    """Bytes as JSON; too many for what no database could hold: a NUL, or half of a surrogate pair."""
    try:
        encoded = json.dumps(kept, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return LARGEST + 1
    # Escaped backslashes go first, so that the six characters themselves are no NUL.
    has_nul = rb"\u0000" in encoded.replace(rb"\\", b"")
    return LARGEST + 1 if has_nul else len(json.dumps(kept))
