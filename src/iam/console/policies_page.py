"""`/console/policies`: the rules of sessions, layer by layer; what holds, and what a change would do."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.console.asking import Asked, asked_by, notice_of, one_organization, recently
from iam.console.explained import knob_words, value_words
from iam.console.forms import Field, filled
from iam.console.scope import organization_in_scope, require_console
from iam.directory.applications import list_applications
from iam.directory.bearers import check_bearer
from iam.kernel.errors import Forbidden, Missing
from iam.languages import N_, _, gettext
from iam.sessions.knobs import KNOBS, LONGEST, MOST, AtLimit, Knob, Value
from iam.sessions.layers import read_policies, read_policy, read_said
from iam.sessions.model import BUILT_IN_APPLICATION
from iam.sessions.policy import INSTALLATION, Layer, LayerName, Policy
from iam.sessions.policy_change import Changed, change_policy
from iam.web.caller import Person
from iam.web.engine import engine_of, in_thread
from iam.web.forms import query_text
from iam.web.pages import page_errors, render, see_other
from iam.web.rights import Right
from iam.web.visitor import Visitor, visitor_of

PATH = "/console/policies"
_KINDS: tuple[LayerName, ...] = ("installation", "organization", "application", "role", "user")
_APPLICATIONS = 200
_SPAN = re.compile(r"(?:\d{1,9}\s*(?:d|h|min|m|s)?\s*){1,4}", re.ASCII)
_PART = re.compile(r"(\d{1,9})\s*(d|h|min|m|s)?", re.ASCII)
_UNITS = {"d": 86400, "h": 3600, "min": 60, "m": 60, "s": 1, "": 1}
_NOTICES = {
    "saved": N_("Saved. Live sessions follow it already."),
    "same": N_("Nothing was changed."),
}


_LAYERS = {
    "application": N_("Application %(name)s"),
    "role": N_("Role %(name)s"),
    "user": N_("User %(name)s"),
}
_TITLES = {
    "installation": N_("Policy of the installation"),
    "organization": N_("Policy of the organization %(name)s"),
    "application": N_("Policy of the application %(name)s"),
    "role": N_("Policy of the role %(name)s"),
    "user": N_("Policy of the user %(name)s"),
}


class LayerMissing(Missing):
    """There is no such layer, or not for this administrator."""

    code = "layer_not_found"
    title = "There is no such layer of policy."


@page_errors
async def show_policies(request: Request) -> Response:
    """GET: the layers of an organization, and what holds for a session there."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person, name = require_console(visitor, Right.READ), query_text(request, "organization")
    wanted = query_text(request, "application") or BUILT_IN_APPLICATION

    def work(connection: Connection) -> dict[str, Any]:
        organization, choices = one_organization(connection, person, name)
        said = read_said(connection, organization)
        applications = {BUILT_IN_APPLICATION: _("Browser session")}
        listed = list_applications(connection, organization, limit=_APPLICATIONS)
        applications |= {
            one.name: one.display_name for one in listed if one.name not in applications
        }
        settled = said.explain(wanted)
        own = Layer("organization", organization)
        layers = [(INSTALLATION, read_policy(connection, INSTALLATION))]
        layers.append((own, read_policy(connection, own)))
        for kind in ("application", "role", "user"):
            layers += read_policies(connection, kind, organization).items()
        return {
            "organization": organization,
            "organizations": choices,
            "applications": [(one, words, one == wanted) for one, words in applications.items()],
            "holds": [
                {
                    "words": knob_words(knob),
                    "about": gettext(knob.about),
                    "value": value_words(knob, settled[knob.name].value),
                    "by": layer_words(layer) if (layer := settled[knob.name].layer) else None,
                }
                for knob in KNOBS
            ],
            "layers": [
                {
                    "words": layer_words(layer),
                    "href": edit_href(layer),
                    "says": _says(policy),
                    "may_edit": Right.CHANGE in person.rights
                    and (layer != INSTALLATION or person.administers_installation),
                }
                for layer, policy in layers
            ],
        }

    context = await in_thread(lambda: engine.database.read(work))
    return render(
        request,
        "console_policies.html",
        person=person,
        csrf=visitor.csrf,
        flash=notice_of(request, _NOTICES),
        **context,
    )


@page_errors
async def show_layer(request: Request) -> Response:
    """GET: the form of one layer."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person, layer = require_console(visitor, Right.CHANGE), _layer(request.query_params)
    policy = await in_thread(
        lambda: engine.database.read(lambda c: _policy_in_scope(c, person, layer))
    )
    return _form(request, visitor, layer, fields_of(policy), {}, None)


@page_errors
async def change_layer(request: Request) -> Response:
    """POST: what the change would do to live sessions; with `confirmed`, the change."""
    asked = await asked_by(request)
    layer, cause, database = _layer(asked.fields), asked.cause, asked.engine.database
    await in_thread(lambda: database.read(lambda c: _policy_in_scope(c, cause.person, layer)))
    turned, wrong = _turned(asked.fields)
    fields = filled(fields_of(Policy()), asked.fields)
    if wrong:
        return _form(request, asked.visitor, layer, fields, wrong, None, status=422)

    def work(connection: Connection) -> Changed:
        _policy_in_scope(connection, cause.person, layer)
        return change_policy(connection, layer, turned, origin=cause.origin, **cause.members)

    if not asked.fields.get("confirmed"):
        would = await in_thread(lambda: database.rehearse(work))
        return _form(request, asked.visitor, layer, fields, {}, _impact(would, asked))
    about = _("You wanted to change a policy: %(layer)s.", layer=layer_words(layer))
    await recently(request, asked, _("Save the policy"), about, edit_href(layer))
    changed = await in_thread(lambda: database.write(work))
    asked.engine.count_ended(changed.impact.noted)
    query = {"organization": layer.organization, "notice": "saved"}
    return see_other(f"{PATH}?{urlencode({k: v for k, v in query.items() if v})}")


def layer_words(layer: Layer) -> str:
    """A layer in words."""
    if layer.kind == "installation":
        return _("Installation")
    if layer.kind == "organization":
        return _("Organization %(name)s", name=layer.organization)
    return _(_LAYERS[layer.kind], name=layer.name)


def edit_href(layer: Layer) -> str:
    """The address of a layer's form."""
    query = {"kind": layer.kind, "organization": layer.organization, "name": layer.name}
    return f"{PATH}/edit?{urlencode({k: v for k, v in query.items() if v})}"


def fields_of(policy: Policy) -> list[Field]:
    """The knobs of a layer as fields of a form, each with what it says."""
    return [_field(knob, getattr(policy, knob.name)) for knob in KNOBS]


def _field(knob: Knob, value: Value) -> Field:
    otherwise = _("no rule") if knob.default is None else value_words(knob, knob.default)
    default = _("Not set (by default: %(value)s)", value=otherwise)
    hint = gettext(knob.about)
    if knob.kind in ("yes or no", "word"):
        if knob.kind == "word":
            words = [(str(one), value_words(knob, str(one))) for one in AtLimit]
        else:
            words = [("yes", _("yes")), ("no", _("no"))]
        now = "" if value is None else {True: "yes", False: "no"}.get(value, str(value))  # type: ignore[call-overload] # a bool or a word
        return Field(
            name=knob.name,
            label=knob_words(knob),
            kind="choice",
            options=[("", default), *words],
            hint=hint,
            value=now,
            said=True,
        )
    sentences = [hint, *([_("Such as 30 min or 12 h.")] if knob.kind == "seconds" else [])]
    return Field(
        name=knob.name,
        label=knob_words(knob),
        hint=" ".join((*sentences, _("Not set (by default: %(value)s).", value=otherwise))),
        value=_typed(knob, value),
        said=True,
    )


def _typed(knob: Knob, value: Value) -> str:
    """A value as the field takes it, which is the same in every language: "1 h 30 min"."""
    if value is None:
        return ""
    if knob.kind != "seconds" or not isinstance(value, int) or value == 0:
        return str(value)
    words, left = [], value
    for unit in ("d", "h", "min", "s"):
        if left >= _UNITS[unit]:
            words.append(f"{left // _UNITS[unit]} {unit}")
            left %= _UNITS[unit]
    return " ".join(words)


def _turned(fields: Mapping[str, str]) -> tuple[dict[str, Value], dict[str, str]]:
    """What the form says of each knob, and what is wrong with it."""
    turned: dict[str, Value] = {}
    wrong: dict[str, str] = {}
    for knob in KNOBS:
        text = fields.get(knob.name, "").strip()
        if not text:
            turned[knob.name] = None
        elif knob.kind == "yes or no" and text in ("yes", "no"):
            turned[knob.name] = text == "yes"
        elif knob.kind == "word" and text in set(AtLimit):
            turned[knob.name] = AtLimit(text)
        elif knob.kind == "number" and re.fullmatch(r"\d{1,9}", text, re.ASCII):
            turned[knob.name] = _bounded(knob, int(text), MOST, wrong)
        elif knob.kind == "seconds" and _SPAN.fullmatch(text):
            seconds = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))
            turned[knob.name] = _bounded(knob, seconds, LONGEST, wrong)
        else:
            wrong[knob.name] = _("This cannot be understood.")
    return turned, wrong


def _bounded(knob: Knob, value: int, most: int, wrong: dict[str, str]) -> int:
    if not knob.least <= value <= most:
        wrong[knob.name] = _(
            "Between %(least)s and %(most)s.", least=knob.least, most=value_words(knob, most)
        )
    return value


def _policy_in_scope(connection: Connection, person: Person, layer: Layer) -> Policy:
    """What a layer says, for who may change it.

    Raises:
        Forbidden, Missing: they may not, or there is no such layer for them.
    """
    if layer.kind == "installation":
        if not person.administers_installation:
            raise Forbidden(_("This needs an administrator of the installation."))
    else:
        organization_in_scope(connection, person, layer.organization)
    check_bearer(connection, layer)
    return read_policy(connection, layer)


def _layer(given: Mapping[str, str]) -> Layer:
    kind = next((one for one in _KINDS if one == given.get("kind")), None)
    organization, name = (given.get(one, "").strip() for one in ("organization", "name"))
    if kind is None or "\x00" in organization + name or len(organization + name) > 400:
        raise LayerMissing
    if kind == "installation":
        return INSTALLATION
    named = kind not in ("installation", "organization")
    if not organization or (named and not name):
        raise LayerMissing
    return Layer(kind, organization, name if named else "")


def _says(policy: Policy) -> list[tuple[str, str]]:
    return [
        (knob_words(knob), value_words(knob, value))
        for knob in KNOBS
        if (value := getattr(policy, knob.name)) is not None
    ]


def _impact(would: Changed, asked: Asked) -> dict[str, Any]:
    impact = would.impact
    return {
        "ended": impact.ended.total(),
        "shortened": impact.shortened.total(),
        "pairs": [
            (application, impact.ended[key], impact.shortened[key])
            for key in sorted({*impact.ended, *impact.shortened})
            for application in (f"{key[1]} ({key[0]})",)
        ],
        "own": any(asked.visitor.holds(one.session.id) for one in impact.noted),
    }


def _form(
    request: Request,
    visitor: Visitor,
    layer: Layer,
    fields: list[Field],
    wrong: dict[str, str],
    impact: dict[str, Any] | None,
    *,
    status: int = 200,
) -> Response:
    query = f"?{urlencode({'organization': layer.organization})}" if layer.organization else ""
    return render(
        request,
        "console_policy.html",
        status=status,
        person=visitor.person,
        csrf=visitor.csrf,
        title=_(_TITLES[layer.kind], name=layer.name or layer.organization),
        back=f"{PATH}{query}",
        hidden=[("kind", layer.kind), ("organization", layer.organization), ("name", layer.name)],
        fields=fields,
        wrong=wrong,
        impact=impact,
    )
