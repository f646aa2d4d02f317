"""`/console/users/import`: many users from a file. First what would become of each line, then all or none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam import audit
from iam.console.asking import Asked, asked_by, one_organization, recently
from iam.console.scope import organization_in_scope, require_console
from iam.console.users_page import PATH
from iam.directory import users
from iam.directory.user_file import LARGEST, MOST_LINES, FileUnreadable, Line, read_users
from iam.languages import _, n_
from iam.sessions import rules
from iam.signin.password_links import mail_link
from iam.web.caller import Person
from iam.web.engine import engine_of, in_thread
from iam.web.forms import FormInvalid, query_text
from iam.web.pages import page_errors, render
from iam.web.rights import Right
from iam.web.visitor import visitor_of

_IMPORT = f"{PATH}/import"
_LARGEST_BODY = 4 * LARGEST
"""Bytes of a form that holds a file: what is not plain is three times as long there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """What becomes of each line: `new`, `there` (left as it is) or `wrong`."""

    lines: tuple[tuple[Line, str], ...]

    def number(self, state: str) -> int:
        return sum(one == state for _line, one in self.lines)


@page_errors
async def show_import(request: Request) -> Response:
    """GET: where the file is given."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person, name = require_console(visitor, Right.CHANGE), query_text(request, "organization")
    organization, _choices = await in_thread(
        lambda: engine.database.read(lambda c: one_organization(c, person, name))
    )
    return _page(request, person, visitor.csrf, organization=organization)


@page_errors
async def import_users(request: Request) -> Response:
    """POST: what the file would do; with `confirmed`, that."""
    declared = request.headers.get("content-length", "")
    if not declared.isdigit() or len(declared) > 9 or int(declared) > _LARGEST_BODY:
        raise FormInvalid(_("The file may have %(number)s KiB.", number=LARGEST // 1024))
    asked = await asked_by(request)
    person, fields, database = asked.cause.person, asked.fields, asked.engine.database
    organization, text = fields.get("organization", ""), fields.get("csv", "")
    await in_thread(lambda: database.read(lambda c: organization_in_scope(c, person, organization)))
    shown: dict[str, Any] = {
        "organization": organization,
        "csv": text,
        "invites": "invite" in fields,
    }
    try:
        lines = read_users(text)
    except FileUnreadable as error:
        return _page(request, person, asked.visitor.csrf, status=422, wrong=str(error), **shown)
    report = await in_thread(lambda: database.read(lambda c: _judge(c, asked, lines)))
    if report.number("wrong") or not report.number("new") or not fields.get("confirmed"):
        status = 422 if report.number("wrong") else 200
        return _page(request, person, asked.visitor.csrf, status=status, report=report, **shown)
    about = n_(
        "You wanted to add %(number)s user to %(organization)s from a file.",
        "You wanted to add %(number)s users to %(organization)s from a file.",
        report.number("new"),
        organization=organization,
    )
    await recently(request, asked, _added(report), about, _IMPORT)
    report = await in_thread(lambda: database.write(lambda c: _write(c, asked, lines)))
    status = 422 if report.number("wrong") else 200
    return _page(
        request,
        person,
        asked.visitor.csrf,
        status=status,
        report=report,
        done=not report.number("wrong"),
        **shown,
    )


def _added(report: _Report) -> str:
    return n_("Add %(number)s user", "Add %(number)s users", report.number("new"))


def _judge(connection: Connection, asked: Asked, lines: Sequence[Line]) -> _Report:
    """What would become of each line now."""
    organization = asked.fields.get("organization", "")
    there = users.names_among(connection, organization, [one.name for one in lines])
    judged = []
    for line in lines:
        mistakes = line.mistakes
        if line.name not in there and "invite" in asked.fields:
            if not line.email:
                mistakes += (_("an invitation needs an e-mail address"),)
            if not asked.engine.settings.sends_mail:
                mistakes += (_("this installation sends no mail"),)
        state = "wrong" if mistakes else "there" if line.name in there else "new"
        judged.append((replace(line, mistakes=mistakes), state))
    return _Report(lines=tuple(judged))


def _write(connection: Connection, asked: Asked, lines: Sequence[Line]) -> _Report:
    """Add those that are new, all in this transaction; nothing if a line is wrong by now."""
    organization, cause = asked.fields.get("organization", ""), asked.cause
    rules.share_rules(connection, organization)
    report = _judge(connection, asked, lines)
    if report.number("wrong"):
        return report
    events = []
    for line, state in report.lines:
        if state != "new":
            continue
        made = users.create_user(
            connection,
            organization=organization,
            name=line.name,
            password_hash=None,
            display_name=line.display_name or None,
            email=line.email or None,
            roles=line.roles,
            preferences=line.preferences,
            now=cause.now,
            random=cause.random,
        )
        data = {"roles": list(line.roles), "imported": True}
        events.append(
            cause.event("user.created", organization=organization, user=line.name, data=data)
        )
        if "invite" in asked.fields:
            mail_link(
                connection,
                made,
                sends_mail=asked.engine.settings.sends_mail,
                origin=cause.origin,
                **cause.members,
            )
    audit.append(connection, events)
    return report


def _page(
    request: Request,
    person: Person,
    csrf: str,
    *,
    organization: str,
    csv: str = "",
    invites: bool = False,
    wrong: str | None = None,
    report: _Report | None = None,
    done: bool = False,
    status: int = 200,
) -> Response:
    return render(
        request,
        "console_import.html",
        status=status,
        person=person,
        csrf=csrf,
        organization=organization,
        csv=csv,
        invites=invites,
        wrong=wrong,
        report=report,
        done=done,
        most=MOST_LINES,
        action=_IMPORT,
        back=f"{PATH}?organization={organization}",
        sends_mail=engine_of(request).settings.sends_mail,
    )
