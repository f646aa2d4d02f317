"""Settings: read from the environment once, checked at start, never changed after."""

import os
import re
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_DAY = 24 * 60 * 60


class SettingsInvalid(Exception):
    """The environment does not make a server that may start; one sentence per mistake."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """The SMTP server that takes our mails.

    `tls`: from the first byte, after STARTTLS and else not at all, after STARTTLS where it is offered,
    or never (a server on this machine).
    """

    host: str
    port: int
    tls: Literal["implicit", "starttls", "offered", "none"]
    username: str | None
    password: str | None = field(repr=False)


class Settings(BaseSettings):
    """Every setting, its environment variable (`IAM_` + its name in capitals) and its default."""

    model_config = SettingsConfigDict(env_prefix="IAM_", extra="ignore", frozen=True)

    issuer: str = Field(
        "http://127.0.0.1:8000",
        description="The address at which browsers and applications reach this server: scheme, host, port.",
    )
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on.")
    workers: int = Field(
        1, ge=1, le=64, description="Server processes. More than one needs PostgreSQL."
    )
    data_dir: Path = Field(Path("data"), description="Where the embedded SQLite database is kept.")
    database_url: str = Field(
        "",
        description="postgresql://user@host/name or sqlite:////path; default: SQLite in the data directory.",
    )
    admin_password: str = Field(
        "",
        description="Password of the first administrator (first start only); else one is made and printed.",
        repr=False,
    )
    encryption_key: str = Field(
        "",
        description="32 bytes (base64 or hexadecimal) that encrypt the signing keys; then former ones.",
        repr=False,
    )
    key_rotation: int = Field(
        90,
        ge=0,
        le=3650,
        description="Days after which signing keys are replaced; 0: by command only.",
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (),
        description="Networks of proxies (CIDR, separated by commas) whose X-Forwarded-* are believed.",
    )
    retention: int = Field(
        30 * 24 * 60 * 60, ge=60, description="Seconds for which ended sessions stay as history."
    )
    event_retention: int = Field(
        400 * 24 * 60 * 60, ge=0, description="Seconds for which events stay; 0: for ever."
    )
    fresh_authentication: int = Field(
        900,
        ge=60,
        le=86400,
        description="Seconds after which a person signs in again before sensitive actions on pages.",
    )
    sweep_interval: int = Field(5, ge=1, le=3600, description="Seconds between two sweeps.")
    delivery_attempts: int = Field(
        10, ge=1, le=30, description="Attempts to deliver a notice before it is given up."
    )
    delivery_timeout: int = Field(
        15, ge=1, le=60, description="Seconds that one attempt may take altogether."
    )
    delivery_allow_private: bool = Field(
        False,
        description="Whether notices and questions to providers may go to private addresses, and by http.",
    )
    smtp_url: str = Field(
        "",
        description="The mail server: smtp://user:password@host:587, or smtps:// for TLS throughout.",
        repr=False,
    )
    smtp_allow_plaintext: bool = Field(
        False, description="Whether mail may go to a server on another machine without TLS."
    )
    mail_from: str = Field("", description="Whom mails are from: Name <address>.")
    password_memory_kib: int = Field(
        65536, ge=8, le=4194304, description="Argon2id memory per password hash, in KiB."
    )
    password_passes: int = Field(2, ge=1, le=100, description="Argon2id passes over that memory.")
    password_workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=256,
        description="Passwords hashed at the same time; default: the number of cores.",
    )
    log_level: str = Field("info", description="debug, info, warning or error.")

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("it must look like https://id.example.com")
        if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
            raise ValueError("it must be scheme, host and port alone, with no path after them")
        try:
            parts.port  # noqa: B018 - reading it is what checks it
        except ValueError:
            raise ValueError("its port must be a number from 1 to 65535") from None
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("http is accepted on a loopback address only; use https")
        return value.rstrip("/")

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(ip_network(one.strip()) for one in value.split(",") if one.strip())
        return value

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        if value.lower() not in ("debug", "info", "warning", "error"):
            raise ValueError("it must be debug, info, warning or error")
        return value.lower()

    @field_validator("admin_password")
    @classmethod
    def _password(cls, value: str) -> str:
        if value and len(value) < 8:
            raise ValueError("it must have at least 8 characters")
        return value

    @field_validator("encryption_key")
    @classmethod
    def _encryption_key(cls, value: str) -> str:
        for one in filter(None, (part.strip() for part in value.split(","))):
            if not re.fullmatch(r"[0-9A-Fa-f]{64}|[A-Za-z0-9+/_-]{43}=?", one):
                raise ValueError(
                    "it must be 32 bytes as base64 or hexadecimal, or several with commas"
                )
        return value

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        scheme = value.split(":", 1)[0].split("+", 1)[0]
        if value and scheme not in ("sqlite", "postgresql"):
            raise ValueError("it must begin with postgresql:// or sqlite:///")
        return value

    @field_validator("event_retention")
    @classmethod
    def _event_retention(cls, value: int) -> int:
        if 0 < value < _DAY:
            raise ValueError(f"it must be at least {_DAY} (a day), or 0 to keep them for ever")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _smtp_url(cls, value: str) -> str:
        if value:
            _mail_server(value, allow_plaintext=False)
        return value

    @field_validator("mail_from")
    @classmethod
    def _mail_from(cls, value: str) -> str:
        if value and _sender_of(value) is None:
            raise ValueError("it must look like Example <no-reply@example.com>")
        return value

    @model_validator(mode="after")
    def _sender(self) -> "Settings":
        if self.smtp_url and not self.mail_from:
            raise ValueError("IAM_SMTP_URL needs IAM_MAIL_FROM: whom mails are from")
        return self

    @model_validator(mode="after")
    def _combinations(self) -> "Settings":
        if self.workers > 1 and self.is_sqlite:
            raise ValueError(
                "IAM_WORKERS above 1 needs PostgreSQL (set IAM_DATABASE_URL): SQLite serves one process"
            )
        return self

    @property
    def database(self) -> str:
        """The database's URL, the default filled in."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'iam.db').absolute()}"

    @property
    def is_sqlite(self) -> bool:
        """Whether the embedded database is used."""
        return self.database.startswith("sqlite")

    @property
    def secure(self) -> bool:
        """Whether browsers reach the server over https: cookies are then Secure and prefixed."""
        return self.issuer.startswith("https:")

    @property
    def issuer_host(self) -> str:
        """Host (and port, where it is not the scheme's own) of the issuer, lower case."""
        return urlsplit(self.issuer).netloc.lower()

    @property
    def mail_server(self) -> MailServer | None:
        """Where mails go, if there is a mail server."""
        if not self.smtp_url:
            return None
        return _mail_server(self.smtp_url, allow_plaintext=self.smtp_allow_plaintext)

    @property
    def mail_folder(self) -> Path | None:
        """Where mails go as files: without a mail server, and in development only. Elsewhere nobody
        would look, and files with links in them that work would lie about."""
        return None if self.smtp_url or self.secure else self.data_dir / "mail"

    @property
    def sends_mail(self) -> bool:
        """Whether mails go anywhere."""
        return self.mail_server is not None or self.mail_folder is not None

    @property
    def mail_sender(self) -> tuple[str, str]:
        """Name and address of whom mails are from."""
        return _sender_of(self.mail_from) or ("Hanzo IAM", "iam@localhost")


# One @ between printable ASCII, without what has a meaning of its own in a header.
_ADDRESS = r"[^\s@<>()\[\],;:\\\"]+@[A-Za-z0-9.-]+"
_SENDER = re.compile(rf'"?(?P<name>[^<>"]*?)"?\s*<(?P<of_name>{_ADDRESS})>|(?P<bare>{_ADDRESS})')


def _sender_of(text: str) -> tuple[str, str] | None:
    """Name and address in `Name <address>` or `address`. None if that is not what it is, or if it has
    a character that could end a header's line."""
    match = _SENDER.fullmatch(text.strip()) if text.isprintable() else None
    address = "" if match is None else match["of_name"] or match["bare"]
    if match is None or not address.isascii():
        return None
    return match["name"] or "", address


_PORTS = {"smtp": 587, "smtps": 465}


def _mail_server(url: str, *, allow_plaintext: bool) -> MailServer:
    """The server that a URL names. Raises ValueError with what is wrong, without the password."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("it must look like smtp://user:password@mail.example.com:587")
    if not url.isprintable() or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(
            "it must end after the port (in user name and password write / ? # @ : as %2F %3F %23 %40 %3A)"
        )
    if (parts.username is None) != (parts.password is None):
        raise ValueError("it must have both a user name and a password, or neither")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("its port must be a number from 1 to 65535") from None
    tls: Literal["implicit", "starttls", "offered", "none"] = "starttls"
    if parts.scheme == "smtps":
        tls = "implicit"
    elif is_loopback(parts.hostname):
        tls = "none"
    elif allow_plaintext:
        tls = "offered"
    return MailServer(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        tls=tls,
        username=unquote(parts.username) if parts.username is not None else None,
        password=unquote(parts.password) if parts.password is not None else None,
    )


def is_loopback(host: str) -> bool:
    """Whether this host name or address is this machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


def load_settings(**overrides: Any) -> Settings:
    """The settings of the environment; `overrides` (from the command line) win.

    Raises:
        SettingsInvalid: with one clear sentence for each mistake.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsInvalid([_sentence(dict(one)) for one in error.errors()]) from None


_WITH_SECRETS = frozenset(
    {"IAM_ADMIN_PASSWORD", "IAM_DATABASE_URL", "IAM_ENCRYPTION_KEY", "IAM_SMTP_URL"}
)
"""Settings whose value may hold a password, and so is never repeated."""


def _sentence(error: dict[str, Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return f"{message}."
    name = "IAM_" + str(error["loc"][0]).upper()
    hidden = name in _WITH_SECRETS or error["input"] is None
    shown = ":" if hidden else f" is {str(error['input'])!r}, but"
    return f"{name}{shown} {message[0].lower() + message[1:]}."
