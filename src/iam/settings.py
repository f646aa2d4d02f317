"""Settings: read from the environment once, checked at start, never changed after."""

import os
import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class SettingsInvalid(Exception):
    """The environment does not make a server that may start; one sentence per mistake."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


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
        description="Networks (CIDR, separated by commas) whose X-Forwarded-* headers are believed.",
    )
    retention: int = Field(
        30 * 24 * 60 * 60, ge=60, description="Seconds for which ended sessions stay as history."
    )
    sweep_interval: int = Field(5, ge=1, le=3600, description="Seconds between two sweeps.")
    delivery_attempts: int = Field(
        10, ge=1, le=30, description="Attempts to deliver a notice before it is given up."
    )
    delivery_timeout: int = Field(
        15, ge=1, le=60, description="Seconds that one attempt may take altogether."
    )
    delivery_allow_private: bool = Field(
        False, description="Whether notices may go to private addresses, and by plain http."
    )
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


def _sentence(error: dict[str, Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return f"{message}."
    name = "IAM_" + str(error["loc"][0]).upper()
    secret = name in ("IAM_ADMIN_PASSWORD", "IAM_ENCRYPTION_KEY")
    shown = "" if secret or error["input"] is None else f" is {str(error['input'])!r}, but"
    return f"{name}{shown} {message[0].lower() + message[1:]}."
