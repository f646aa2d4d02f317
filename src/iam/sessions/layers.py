"""The layers as they are stored: what each of them says, and what holds for a session by all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from iam.db.prepared import Asked, Prepared, together
from iam.db.tables import policy as table
from iam.sessions.knobs import AtLimit
from iam.sessions.model import BUILT_IN_ORGANIZATION
from iam.sessions.policy import (
    INSTALLATION,
    NAMES,
    EffectivePolicy,
    Layer,
    LayerName,
    Policy,
    Settled,
    home_of,
    settle,
    strictest,
)

_KNOBS = tuple(table.c[name] for name in NAMES)


def effective_policy(
    connection: Connection,
    organization: str,
    application: str,
    *,
    user: str = "",
    roles: Sequence[str] = (),
) -> EffectivePolicy:
    """The policy of a session that a user of `organization`, who has these roles, starts at
    `application`."""
    [rows] = together(connection, asking_layers(organization, application, user))
    return policy_among(rows, roles)


def asking_layers(organization: str, application: str, user: str) -> Asked:
    """What `effective_policy` asks, to go `together` with what tells the user's roles."""
    names = {
        "organization": organization,
        "home": home_of(application, organization),
        "application": application,
        "user": user,
    }
    return _LAYERS, names


def policy_among(rows: Sequence[Any], roles: Sequence[str]) -> EffectivePolicy:
    """The policy that the answer to `asking_layers` is for somebody with these roles."""
    return strictest([_policy(row) for row in rows if row.layer != "role" or row.name in roles])


# Built once: putting a statement together costs more than running it. Of the roles all layers are read:
# there are few, and whose roles count is read at the same time.
_HERE = table.c.organization == bindparam("organization")
_LAYERS = Prepared(
    select(table.c.layer, table.c.name, *_KNOBS).where(
        or_(
            table.c.layer == "installation",
            and_(table.c.layer == "organization", _HERE),
            and_(
                table.c.layer == "application",
                table.c.organization == bindparam("home"),
                table.c.name == bindparam("application"),
            ),
            and_(table.c.layer == "role", _HERE),
            and_(table.c.layer == "user", _HERE, table.c.name == bindparam("user")),
        )
    )
)


@dataclass(frozen=True, slots=True)
class Said:
    """What all layers say that bear on the sessions of one organization."""

    organization: str
    policies: dict[Layer, Policy]

    def explain(
        self, application: str, *, user: str = "", roles: Sequence[str] = ()
    ) -> dict[str, Settled]:
        """Every knob's value for a session, and the layer that set it."""
        return settle(self._of(application, user, roles))

    def holds(
        self, application: str, *, user: str = "", roles: Sequence[str] = ()
    ) -> EffectivePolicy:
        """What `effective_policy` answers, without another look at the database."""
        return strictest([policy for _, policy in self._of(application, user, roles)])

    def _of(self, application: str, user: str, roles: Sequence[str]) -> list[tuple[Layer, Policy]]:
        layers = (
            INSTALLATION,
            Layer("organization", self.organization),
            Layer("application", home_of(application, self.organization), application),
            *(Layer("role", self.organization, role) for role in sorted(roles)),
            Layer("user", self.organization, user),
        )
        return [(one, self.policies[one]) for one in layers if one in self.policies]

    def names(self, kind: LayerName) -> frozenset[str]:
        """The applications, roles or users that have a layer of their own here."""
        return frozenset(
            layer.name
            for layer in self.policies
            if layer.kind == kind and layer.organization == self.organization
        )


def read_said(connection: Connection, organization: str) -> Said:
    """What bears on the sessions of this organization."""
    query = select(table).where(table.c.organization.in_(["", organization, BUILT_IN_ORGANIZATION]))
    return Said(organization, {_layer(row): _policy(row) for row in connection.execute(query)})


def read_policy(connection: Connection, layer: Layer) -> Policy:
    """What this layer says; an empty policy where it says nothing."""
    row = connection.execute(select(*_KNOBS).where(_is(layer))).one_or_none()
    return _policy(row) if row is not None else Policy()


def read_policies(
    connection: Connection, kind: LayerName, organization: str | None = None
) -> dict[Layer, Policy]:
    """What the layers of this kind say, of one organization or of all, in the order of their names."""
    query = select(table).where(table.c.layer == kind)
    if organization is not None:
        query = query.where(table.c.organization == organization)
    rows = connection.execute(query.order_by(table.c.organization, table.c.name))
    return {_layer(row): _policy(row) for row in rows}


def store_policy(connection: Connection, layer: Layer, policy: Policy) -> None:
    """Set what this layer says. Live sessions follow by `reform.apply_policy`."""
    if policy == Policy():
        forget_layer(connection, layer)
        return
    knobs = {name: getattr(policy, name) for name in NAMES}
    knobs["at_limit"] = None if policy.at_limit is None else str(policy.at_limit)
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(
        insert(table)
        .values(
            layer=layer.kind,
            organization=layer.organization,
            name=layer.name,
            **knobs,
        )
        .on_conflict_do_update(index_elements=list(table.primary_key), set_=knobs)
    )


def forget_layer(connection: Connection, layer: Layer) -> None:
    """Whoever takes this name after its bearer is gone starts without a policy."""
    connection.execute(delete(table).where(_is(layer)))


def _is(layer: Layer) -> ColumnElement[bool]:
    return and_(
        table.c.layer == layer.kind,
        table.c.organization == layer.organization,
        table.c.name == layer.name,
    )


def _layer(row: Row[Any, Any]) -> Layer:
    return Layer(row.layer, row.organization, row.name)


def _policy(row: Row[Any, Any]) -> Policy:
    values = {name: getattr(row, name) for name in NAMES}
    if values["at_limit"] is not None:
        values["at_limit"] = AtLimit(values["at_limit"])
    return Policy(**values)
