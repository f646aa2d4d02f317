"""Serving, migrating, tokens and the doctor."""

import sys
from urllib.parse import urlsplit

from iam.cli.database import opened_database
from iam.kernel.clock import system_clock, to_iso
from iam.kernel.errors import IamError
from iam.kernel.events import NOWHERE, OPERATOR
from iam.kernel.secrets import system_random
from iam.settings import Settings, load_settings


def serve(*, host: str | None, port: int | None, workers: int | None) -> None:
    """Prepare the database, say where to sign in, and run."""
    from iam.logs import configure_logs
    from iam.server.build import prepare_database
    from iam.server.guard import only_server
    from iam.server.run import run

    settings = load_settings(host=host, port=port, workers=workers)
    configure_logs(settings.log_level)
    with only_server(settings):
        first = prepare_database(settings, system_clock, system_random)
        print(f"Hanzo IAM · {settings.issuer}/sign-in", flush=True)
        if first is not None:
            print("First start: organization built-in, user admin", flush=True)
            if first.password is not None:
                print(f"Password of admin (shown this once): {first.password}", flush=True)
        issuer_port = urlsplit(settings.issuer).port
        if settings.issuer.startswith("http:") and issuer_port != settings.port:
            print(
                f"Note: the issuer says port {issuer_port or 80}, this listens on {settings.port}. "
                "Set IAM_ISSUER unless a proxy is in between.",
                flush=True,
            )
        run(settings)


def migrate_database() -> None:
    """Migrate and say from where to where."""
    from iam.db import open_database
    from iam.db.migrate import migrate

    database = open_database(load_settings().database)
    try:
        before, now = migrate(database)
    finally:
        database.close()
    print(f"Already at revision {now}." if before == now else f"{before or 'empty'} → {now}.")


def print_token(*, minutes: int, user: str) -> None:
    """Start a session for an administrator and print its token."""
    from iam.sessions.model import BUILT_IN_APPLICATION, BUILT_IN_ORGANIZATION
    from iam.signin.enter import start_for_user

    with opened_database() as (_, database):
        started = database.write(
            lambda connection: start_for_user(
                connection,
                organization=BUILT_IN_ORGANIZATION,
                user=user,
                application=BUILT_IN_APPLICATION,
                actor=OPERATOR,
                instance="iam token",
                metadata={},
                maximum_lifetime=minutes * 60,
                origin=NOWHERE,
                device="command line",
                now=system_clock(),
                random=system_random,
            )
        )
    print(f"{user}, until {to_iso(started.session.expires_at)}", file=sys.stderr)
    print(started.token)


def doctor() -> None:
    """Print one line a check; exit status 1 if one fails."""
    from iam.db.engine import SAFE_SQLITE, sqlite_module
    from iam.keys import load_keys
    from iam.keys.cipher import open_cipher

    settings = load_settings()
    print(f"ok    settings: issuer {settings.issuer}, listening on {settings.host}:{settings.port}")
    _print_mail(settings)
    failed = False
    try:
        with opened_database() as (_, database):
            shown = database.url.render_as_string(hide_password=True)
            print(f"ok    database: {shown}, schema is this version's")
            cipher = open_cipher(settings)
            if database.read(lambda connection: load_keys(connection, cipher)):
                print("ok    signing keys: there")
            else:
                failed = True
                print("FAIL  signing keys: none; start the server once, it makes the first")
    except IamError as error:
        failed = True
        print(f"FAIL  database: {error.title}")
    if settings.is_sqlite:
        version = sqlite_module().sqlite_version_info
        if version < SAFE_SQLITE:
            print(
                f"warn  SQLite {'.'.join(map(str, version))} can corrupt its file when two programs "
                "write at once: stop the server before `iam` commands that write, or use PostgreSQL"
            )
        else:
            print(f"ok    SQLite {'.'.join(map(str, version))}")
    speaks_saml = _speaks_saml()
    if failed or not speaks_saml:
        sys.exit(1)


def _speaks_saml() -> bool:
    """Whether the libraries for XML load, which a server does only with its first SAML message."""
    try:
        import xmlsec  # noqa: F401 - loading is what is tried
    except Exception as error:  # noqa: BLE001 - two that do not fit each other have an error of their own
        print(f"FAIL  SAML: {error}")
        return False
    print("ok    SAML: its libraries load")
    return True


def _print_mail(settings: Settings) -> None:
    """Where mails go: said, not tried."""
    if (server := settings.mail_server) is not None:
        how = {
            "implicit": "TLS",
            "starttls": "STARTTLS",
            "offered": "TLS only if it offers STARTTLS",
            "none": "no TLS: it is this machine",
        }[server.tls]
        sender = settings.mail_sender[1]
        print(f"ok    mail: {server.host}:{server.port}, {how}, from {sender}")
    elif settings.mail_folder is not None:
        print(f"ok    mail: files in {settings.mail_folder.absolute()} (development)")
    else:
        print("warn  mail: none is sent, so nobody is told of new devices; set IAM_SMTP_URL")
