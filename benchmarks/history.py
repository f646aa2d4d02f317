"""Live sessions and five times as many ended ones on PostgreSQL, made by the database itself, and how
fast the first page of a search among them is."""

import http.client
import json
import re
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import psycopg
from sqlalchemy.engine import make_url

from benchmarks.results import Results
from iam.kernel.clock import system_clock
from iam.kernel.secrets import system_random
from iam.server.build import prepare_database
from iam.settings import Settings
from tests.support.processes import Server
from tests.support.run import run_directory

ENDED_PER_LIVE = 5
_TIMES = 9
_MOST = 50
"""Milliseconds that a first page may take."""
_MOST_PAGE = 150
"""Milliseconds that a page of the console may take."""
_PASSWORD = "open sesame 1"

_DAY = 24 * 3600 * 1000
# The first ten characters of an ID are the instant, the rest is noise (kernel.ids).
_ID = "'ses_' || {instant} || substr(md5(n::text), 1, 16)"
_INSTANT = " || ".join(
    f"substr('0123456789abcdefghjkmnpqrstvwxyz', ((ms >> {shift}) & 31)::int + 1, 1)"
    for shift in range(45, -1, -5)
)
_DEVICES = (
    "'{Firefox on Linux,Firefox on Windows,Chrome on Windows,Chrome on Android,Safari on iOS}'"
)
_ROWS = """
INSERT INTO session (
    id, secret_hash, organization, user_name, application, parent, instance, created_at, authenticated_at,
    last_active_at, idle_timeout, expires_at, check_at, ended_at, end_reason, ended_by, display_name, email,
    roles, amr, acr, ip, user_agent, device, metadata, address, locked_at
)
SELECT
    {id}, sha256(n::text::bytea),
    CASE WHEN person % 10 < 5 THEN 'org00' ELSE 'org' || lpad((1 + person % 49)::text, 2, '0') END,
    'user' || lpad(person::text, 6, '0'), 'app' || lpad((n % 25)::text, 2, '0'),
    CASE WHEN n % 3 = 0 THEN 'ses_' || lpad((n / 30)::text, 26, '0') END,
    CASE WHEN n % 10 = 0 THEN 'node' || n / 10 % 132 END,
    ms, ms, last, {idle}, ms + {longest}, last + {idle} * 1000, {over}, {reason}, {by},
    'Some person', NULL, 'reader',
    CASE WHEN n % 500 = 0 THEN '["pwd", "otp"]' ELSE '["pwd"]' END::json, 'urn:hanzo:iam:acr:1',
    '10.1.' || n / 256 % 256 || '.' || n % 256, 'Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0.0.0',
    ({devices}::text[])[1 + n % 5], '{{}}',
    decode('00000000000000000000ffff0a01' || lpad(to_hex(n % 65536), 4, '0'), 'hex'), {locked}
FROM (
    SELECT n, ms, n * 7919 % 200000 AS person, {last} AS last
    FROM (SELECT n, {start} + n * {step} AS ms FROM generate_series({first}::bigint, {end}) AS n) AS started
) AS made
"""


def fill(url: str, live: int) -> None:
    """Migrate the database at `url` and write the sessions, then the indexes, which is a lot faster."""
    prepare_database(
        Settings(database_url=url, data_dir=run_directory(), admin_password=_PASSWORD),
        system_clock,
        system_random,
    )
    now = system_clock()
    ended = live * ENDED_PER_LIVE
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        query = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'session'"
        indexes = [one for one in connection.execute(query).fetchall() if one[0] != "pk_session"]
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        values = {"instant": _INSTANT}
        common = {"id": _ID.format(**values), "devices": _DEVICES}
        old = _ROWS.format(
            **common,
            first=1,
            end=ended,
            start=now - 29 * _DAY,
            step=28 * _DAY // ended,
            last="ms + n * 7919 % 3600000",
            idle=1800,
            longest=_DAY // 2,
            over="last",
            reason="'signed_out'",
            by="'system'",
            locked="NULL::bigint",
        )
        young = _ROWS.format(
            **common,
            first=ended + 1,
            end=ended + live,
            start=now - _DAY // 4 - (ended + 1) * max(1, _DAY // 5 // live),
            step=max(1, _DAY // 5 // live),
            last=f"{now} - n * 7919 % 1200000",
            idle=24 * 3600,  # so that nothing ends while a slow machine is measured
            longest=2 * _DAY,
            over="NULL::bigint",
            reason="NULL",
            by="NULL",
            locked=f"CASE WHEN n % 1000 = 0 THEN {now} END",
        )
        connection.execute(old)  # type: ignore[call-overload]  # made of constants and numbers
        connection.execute(young)  # type: ignore[call-overload]  # made of constants and numbers
        for _, definition in indexes:
            connection.execute(definition)
        connection.execute("VACUUM ANALYZE session")
        connection.execute("CHECKPOINT")


def _ago(**past: float) -> str:
    return (datetime.now(UTC) - timedelta(**past)).isoformat().replace("+00:00", "Z")


def _searches() -> dict[str, dict[str, str]]:
    """What is asked, by what it is called: each filter, with values that many, few and none have."""
    searches = {
        "nothing": {},
        "organization, half of all": {"organization": "org00"},
        "organization": {"organization": "org07"},
        "user": {"user": "user004711"},
        "application": {"application": "app07"},
        "parent": {"parent": "ses_" + "711".zfill(26)},
        "instance": {"instance": "node7"},
        "ip, an address": {"ip": "10.1.7.11"},
        "ip, a small network": {"ip": "10.1.7.0/24"},
        "ip, a network of all": {"ip": "10.0.0.0/8"},
        "ip, a network of none": {"ip": "192.0.2.0/24"},
        "device": {"device": "Safari on iOS"},
        "device of none": {"device": "Till 4"},
        "browser": {"browser": "firefox"},
        "browser of none": {"browser": "lynx"},
        "amr": {"amr": "otp"},
        "amr of none": {"amr": "hwk"},
        "acr": {"acr": "urn:hanzo:iam:acr:1"},
        "acr of none": {"acr": "urn:hanzo:iam:acr:3"},
        "started_after": {"started_after": _ago(hours=3)},
        "started_before": {"started_before": _ago(days=14)},
        "last_active_before": {"last_active_before": _ago(minutes=19)},
        "last_active_before of none": {"last_active_before": _ago(days=40)},
        "state active": {"state": "active"},
        "state ended": {"state": "ended"},
        "state locked": {"state": "locked"},
    }
    keys = ("last_active_at", "expires_at", "ended_at", "user", "application", "device", "ip")
    for sort in ("created_at", *(f"{sign}{key}" for key in keys for sign in ("", "-"))):
        # What is sorted without an index may be 5,000 sessions: these are nearly as many.
        which = {} if sort == "created_at" else {"instance": "node7"}
        searches[f"sorted by {sort}"] = {**which, "sort": sort}
    return searches


def search(results: Results, server: Server) -> None:
    """The first page of each search, by the API, as the administrator of all organizations; beside what
    the API takes for a single session."""
    token = server.command("token").stdout.splitlines()[-1]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"authorization": f"Bearer {token}"}
    for name, query in _searches().items():
        path = f"/v1/sessions?{urlencode(query)}"
        times, least = [], []
        for _ in range(_TIMES):
            milliseconds, found = _timed(connection, path, headers)
            times.append(milliseconds)
            least.append(_timed(connection, "/v1/session", headers)[0])
        if not found["items"] and "none" not in name:
            raise RuntimeError(f"{path} finds nothing to be measured")
        middle, baseline = statistics.median(times), statistics.median(least)
        results.add(f"first page: {name}", middle, "ms", baseline=baseline, most=_MOST)
    connection.close()


def pages(results: Results, server: Server) -> None:
    """What an administrator looks at among them, page by page, as whoever administers the installation:
    from the request to the last byte."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    _furnish(connection, server)
    headers = {"cookie": _signed_in(connection)}
    for name, path in _PAGES.items():
        times = []
        for _ in range(_TIMES):
            begin = time.perf_counter()
            page = _page(connection, path, headers)
            times.append((time.perf_counter() - begin) * 1000)
        if "</html>" not in page:
            raise RuntimeError(f"{path} is no page")
        results.add(f"console: {name}", statistics.median(times), "ms", most=_MOST_PAGE)
    connection.close()


_PAGES = {
    "overview": "/console",
    "sessions": "/console/sessions",
    "sessions of an organization": "/console/sessions?organization=org07",
    "sessions, by application": "/console/sessions?organization=org00&application=app07",
    "sessions, by network": "/console/sessions?ip=10.1.7.0/24",
    "sessions, ended": "/console/sessions?state=ended",
    "sessions, by last use": "/console/sessions?instance=node7&sort=last_active_at",
    "records": "/console/records?organization=org07",
    "browsers": "/console/browsers?organization=org07",
    "users": "/console/users?organization=org07",
    "audit": "/console/audit",
}


def _furnish(connection: http.client.HTTPConnection, server: Server) -> None:
    """Two of the organizations, with their applications and some of their users."""
    token = server.command("token").stdout.splitlines()[-1]
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def make(path: str, **body: str) -> None:
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 201:
            raise RuntimeError(f"{path} answered {answer.status}: {content[:300]!r}")

    for organization in ("org00", "org07"):
        make("/v1/organizations", name=organization)
        for number in range(25):
            make("/v1/applications", organization=organization, name=f"app{number:02}")
        for number in range(100):
            make("/v1/users", organization=organization, name=f"user{number:06}")


def _signed_in(connection: http.client.HTTPConnection) -> str:
    """The cookies of an administrator who has signed in by the form."""
    connection.request("GET", "/sign-in/built-in")
    answer = connection.getresponse()
    form = re.search(r'name="csrf" value="([^"]+)"', answer.read().decode())
    flow = (answer.getheader("set-cookie") or "").partition(";")[0]
    fields = {"csrf": form[1] if form else "", "username": "admin", "password": _PASSWORD}
    kind = {"cookie": flow, "content-type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/sign-in/built-in", urlencode(fields), kind)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 303:
        raise RuntimeError(f"signing in answered {answer.status}")
    cookies = answer.headers.get_all("set-cookie") or []
    return "; ".join(one.partition(";")[0] for one in cookies)


def _page(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> str:
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    content = answer.read().decode()
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {content[:300]!r}")
    return content


def _timed(
    connection: http.client.HTTPConnection, path: str, headers: dict[str, str]
) -> tuple[float, dict[str, Any]]:
    begin = time.perf_counter()
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    milliseconds = (time.perf_counter() - begin) * 1000
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {content[:300]!r}")
    decoded: dict[str, Any] = json.loads(content)
    return milliseconds, decoded
