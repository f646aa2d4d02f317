"""Policies from the command line: what holds and why, and a change with what it would do."""

import re
from typing import Annotated

import typer
from sqlalchemy import Connection

from iam.cli.database import opened_database
from iam.cli.output import print_rows
from iam.kernel.clock import system_clock
from iam.kernel.errors import Invalid
from iam.kernel.events import OPERATOR
from iam.kernel.secrets import system_random
from iam.sessions.knobs import KNOBS, LONGEST, MOST, AtLimit, Kind, Knob, Value
from iam.sessions.policy import INSTALLATION, Layer, LayerName, Settled
from iam.sessions.policy_change import Changed, change_policy

app = typer.Typer(help="Session policies: explain, set.", no_args_is_help=True)

Organization = Annotated[str, typer.Argument(help="Name of the organization.")]
_UNITS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}
_TIME = re.compile(r"(\d{1,9})([smhd]?)", re.ASCII)
_YES = {"yes": True, "true": True, "no": False, "false": False}


@app.command()
def explain(
    organization: Organization,
    application: Annotated[
        str | None, typer.Option(help="Entering this application; default: signing in.")
    ] = None,
    user: Annotated[str | None, typer.Option(help="For this user; default: anybody.")] = None,
) -> None:
    """Say what holds for a session, and which layer set it."""
    from iam.directory.applications import find_application
    from iam.directory.organizations import find_organization
    from iam.directory.users import find_user
    from iam.sessions.layers import read_said
    from iam.sessions.model import BUILT_IN_APPLICATION
    from iam.sessions.policy import home_of

    target = application or BUILT_IN_APPLICATION
    with opened_database() as (_, database):

        def work(connection: Connection) -> dict[str, Settled]:
            find_organization(connection, organization)
            find_application(connection, home_of(target, organization), target)
            roles = find_user(connection, organization, user).roles if user else ()
            said = read_said(connection, organization)
            return said.explain(target, user=user or "", roles=roles)

        settled = database.read(work)
    rows = []
    for knob in KNOBS:
        one = settled[knob.name]
        setter = "default"
        if one.layer is not None:
            setter = f"{one.layer.kind} {one.layer.name or one.layer.organization}".strip()
        rows.append((knob.name, in_words(knob, one.value), setter))
    who = f"{user} of {organization}" if user else f"users of {organization}"
    print_rows(f"Sessions of {who} at {target}", ("knob", "value", "set by"), rows)


@app.command("set")
def set_(
    settings: Annotated[
        list[str],
        typer.Argument(
            help="knob=value: idle_timeout=30m, maximum_sessions=3, at_limit=ask, exclusive=yes; "
            "knob=none leaves it to the other layers."
        ),
    ],
    organization: Annotated[
        str | None, typer.Option(help="Of this organization; without it, of the installation.")
    ] = None,
    application: Annotated[str | None, typer.Option(help="Of this application of it.")] = None,
    role: Annotated[str | None, typer.Option(help="Of those in it who have this role.")] = None,
    user: Annotated[str | None, typer.Option(help="Of this user of it.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what that would do to live sessions.")
    ] = False,
) -> None:
    """Turn knobs of one layer; live sessions follow at once."""
    from iam.directory.bearers import check_bearer

    turned = dict(_turned(one) for one in settings)
    layer = _layer(organization, application, role, user)
    with opened_database() as (_, database):
        now = system_clock()

        def work(connection: Connection) -> Changed:
            check_bearer(connection, layer)
            return change_policy(
                connection, layer, turned, actor=OPERATOR, now=now, random=system_random
            )

        changed = (database.rehearse if dry_run else database.write)(work)
    impact = changed.impact
    rows = [
        (*pair, impact.shortened[pair], impact.ended[pair])
        for pair in sorted({*impact.shortened, *impact.ended})
    ]
    if rows:
        print_rows("Live sessions", ("organization", "application", "shortened", "ended"), rows)
    would, end = ("would shorten", "end") if dry_run else ("shortened", "ended")
    print(f"This {would} {impact.shortened.total()} and {end} {impact.ended.total()} sessions.")


def _layer(
    organization: str | None, application: str | None, role: str | None, user: str | None
) -> Layer:
    asked: tuple[tuple[LayerName, str | None], ...] = (
        ("application", application),
        ("role", role),
        ("user", user),
    )
    named = [(kind, name) for kind, name in asked if name is not None]
    if organization is None:
        if named:
            raise Invalid("Say --organization as well.")
        return INSTALLATION
    if len(named) > 1:
        raise Invalid("Say one of --application, --role and --user.")
    for kind, name in named:
        return Layer(kind, organization, name)
    return Layer("organization", organization)


def _turned(text: str) -> tuple[str, Value]:
    name, equals, value = text.partition("=")
    knob = next((one for one in KNOBS if one.name == name), None)
    if knob is None or not equals:
        names = ", ".join(one.name for one in KNOBS)
        raise Invalid(f"{text!r} is not knob=value; the knobs are {names}.")
    return name, None if value == "none" else _value(knob, value)


def _value(knob: Knob, text: str) -> Value:
    value: Value = None
    if knob.kind == "seconds" and (match := _TIME.fullmatch(text)):
        value = int(match[1]) * _UNITS[match[2] or "s"]
    elif knob.kind == "number" and text.isascii() and text.isdigit():
        value = int(text)
    elif knob.kind == "yes or no":
        value = _YES.get(text)
    elif knob.kind == "word" and text in list(AtLimit):
        value = AtLimit(text)
    most = LONGEST if knob.kind == "seconds" else MOST
    if value is None or (knob.kind in ("seconds", "number") and not knob.least <= value <= most):  # type: ignore[operator]  # both kinds are whole numbers
        raise Invalid(f"{knob.name} cannot be {text!r}: {_EXPECTED[knob.kind]}.")
    return value


_EXPECTED: dict[Kind, str] = {
    "seconds": "give a time such as 90, 30m, 12h or 14d, of at most ten years",
    "number": "give a number of at least 1",
    "yes or no": "give yes or no",
    "word": f"give {', '.join(AtLimit)}",
}


def in_words(knob: Knob, value: Value) -> str:
    """A value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if knob.kind != "seconds" or not isinstance(value, int):
        return str(value)
    for unit, seconds in reversed(_UNITS.items()):
        if value and value % seconds == 0:
            return f"{value // seconds} {unit}"
    return "0 s"
