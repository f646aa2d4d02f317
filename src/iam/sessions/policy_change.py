"""A change of what one layer says: stored, told, and carried through to live sessions, all at once."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from sqlalchemy import Connection

from iam import audit
from iam.kernel.clock import Instant
from iam.kernel.events import NOWHERE, Actor, Event, Origin
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.sessions import rules
from iam.sessions.knobs import Value
from iam.sessions.layers import read_policy, store_policy
from iam.sessions.policy import Layer, Policy
from iam.sessions.reform import Impact, apply_policy


@dataclass(frozen=True, slots=True)
class Changed:
    """What a layer says now, and what that did to live sessions."""

    policy: Policy
    impact: Impact


def change_policy(
    connection: Connection,
    layer: Layer,
    turned: Mapping[str, Value],
    *,
    actor: Actor,
    now: Instant,
    random: Random,
    origin: Origin = NOWHERE,
) -> Changed:
    """Turn knobs of a layer, by name; None leaves one to the other layers. Those that are not named
    stay. In a transaction that is taken back (`Database.rehearse`) the answer says what would be."""
    rules.hold_rules(connection, layer.reach)
    before = read_policy(connection, layer)
    after = replace(before, **turned)  # type: ignore[arg-type]  # each knob's kind is that of its field
    said, says = asdict(before), asdict(after)
    knobs = [name for name, value in says.items() if value != said[name]]
    if not knobs:
        return Changed(before, Impact())
    store_policy(connection, layer, after)
    event = Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="policy.updated",
        actor=actor,
        organization=layer.organization or None,
        user=layer.name if layer.kind == "user" else None,
        application=layer.name if layer.kind == "application" else None,
        origin=origin,
        data={
            "layer": layer.kind,
            **({"role": layer.name} if layer.kind == "role" else {}),
            "before": {name: said[name] for name in knobs},
            "after": {name: says[name] for name in knobs},
        },
    )
    audit.append(connection, [event])
    impact = apply_policy(connection, layer, actor=actor, now=now, random=random, changed=knobs)
    return Changed(after, impact)
