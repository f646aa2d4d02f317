"""Settings: every mistake is one clear sentence, and a server that would be unsafe does not start."""

from pathlib import Path

import pytest

from iam.settings import SettingsInvalid, load_settings


def test_without_any_setting_there_is_a_server_on_loopback_with_sqlite() -> None:
    settings = load_settings()

    assert (settings.issuer, settings.host, settings.port) == (
        "http://127.0.0.1:8000",
        "127.0.0.1",
        8000,
    )
    assert settings.database == f"sqlite:///{Path('data/iam.db').absolute()}"
    assert not settings.secure


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("IAM_PORT", "eighty", "IAM_PORT is 'eighty', but "),
        ("IAM_PORT", "65536", "IAM_PORT is '65536', but "),
        ("IAM_WORKERS", "0", "IAM_WORKERS is '0', but "),
        ("IAM_RETENTION", "59", "IAM_RETENTION is '59', but "),
        ("IAM_EVENT_RETENTION", "86399", "it must be at least 86400 (a day), or 0 to keep them"),
        ("IAM_SWEEP_INTERVAL", "0", "IAM_SWEEP_INTERVAL is '0', but "),
        ("IAM_PASSWORD_MEMORY_KIB", "7", "IAM_PASSWORD_MEMORY_KIB is '7', but "),
        ("IAM_LOG_LEVEL", "loud", "IAM_LOG_LEVEL is 'loud', but it must be debug, info, "),
        ("IAM_ISSUER", "id.example.com", "but it must look like https://id.example.com."),
        ("IAM_ISSUER", "ftp://id.example.com", "but it must look like https://id.example.com."),
        ("IAM_ISSUER", "https://id.example.com:abc", "IAM_ISSUER is 'https://id.example.com:abc'"),
        ("IAM_ISSUER", "https://id.example.com/iam", "with no path after them."),
        ("IAM_ISSUER", "https://id.example.com/?a=b", "with no path after them."),
        ("IAM_ISSUER", "https://me@id.example.com", "with no path after them."),
        ("IAM_ISSUER", "http://id.example.com", "http is accepted on a loopback address only"),
        ("IAM_ISSUER", "http://10.0.0.1", "http is accepted on a loopback address only"),
        ("IAM_ISSUER", "http://127.0.0.1.evil.test", "http is accepted on a loopback address"),
        ("IAM_DATABASE_URL", "mysql://root@db/iam", "it must begin with postgresql://"),
        ("IAM_DATABASE_URL", "iam.db", "it must begin with postgresql://"),
        ("IAM_TRUSTED_PROXIES", "10.0.0.0/8, nobody", "IAM_TRUSTED_PROXIES is "),
        ("IAM_ENCRYPTION_KEY", "secret", "it must be 32 bytes as base64 or hexadecimal"),
        ("IAM_ENCRYPTION_KEY", "00" * 32 + ",x", "it must be 32 bytes as base64"),
        ("IAM_KEY_ROTATION", "-1", "IAM_KEY_ROTATION is '-1', but "),
        ("IAM_WORKERS", "2", "IAM_WORKERS above 1 needs PostgreSQL"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsInvalid) as wrong:
        load_settings()

    (mistake,) = wrong.value.mistakes
    assert sentence in mistake
    assert mistake.startswith(name)
    assert mistake.endswith(".")
    assert "\n" not in mistake


def test_several_mistakes_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IAM_PORT", "-1")
    monkeypatch.setenv("IAM_ISSUER", "nowhere")

    with pytest.raises(SettingsInvalid) as wrong:
        load_settings()

    assert len(wrong.value.mistakes) == 2


def test_a_short_administrators_password_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IAM_ADMIN_PASSWORD", "hunter2")

    with pytest.raises(SettingsInvalid) as wrong:
        load_settings()

    assert "hunter2" not in str(wrong.value)
    assert "at least 8 characters" in str(wrong.value)


def test_a_password_is_in_no_representation_of_the_settings() -> None:
    assert "correct horse" not in repr(load_settings(admin_password="correct horse"))


def test_what_the_command_line_says_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IAM_PORT", "9000")

    assert load_settings(port=9001).port == 9001
    assert load_settings(port=None).port == 9000


@pytest.mark.parametrize(
    "issuer",
    [
        "http://localhost:8000",
        "http://[::1]:8000",
        "http://127.8.9.1",
        "http://id.localhost",
        "https://id.example.com",
        "https://id.example.com/",
    ],
)
def test_https_is_accepted_anywhere_and_http_on_loopback(issuer: str) -> None:
    settings = load_settings(issuer=issuer)

    assert settings.issuer == issuer.rstrip("/")
    assert settings.secure == issuer.startswith("https")


def test_several_workers_are_accepted_with_postgresql() -> None:
    settings = load_settings(workers=2, database_url="postgresql://iam@db/iam")

    assert settings.workers == 2
    assert not settings.is_sqlite


def test_proxies_are_networks_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IAM_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1 ,2001:db8::/32,")

    assert [str(one) for one in load_settings().trusted_proxies] == [
        "10.0.0.0/8",
        "192.0.2.1/32",
        "2001:db8::/32",
    ]


SERVER = "smtp://iam:p%40ss@mail.example.com"


def test_a_wrong_database_is_one_sentence_that_does_not_show_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IAM_DATABASE_URL", "postgres://iam:hunter2@db/iam")

    with pytest.raises(SettingsInvalid) as wrong:
        load_settings()

    assert wrong.value.mistakes == [
        "IAM_DATABASE_URL: it must begin with postgresql:// or sqlite:///."
    ]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mail.example.com:25", "it must look like smtp://user:password@mail.example.com:587."),
        ("http://iam:hunter2@mail.example.com", "it must look like smtp://"),
        ("smtp://", "it must look like smtp://"),
        ("smtp://iam:hunter2@mail.example.com:abc", "its port must be a number"),
        ("smtp://iam:hunter2@mail.example.com:99999", "its port must be a number"),
        ("smtp://iam:hunter2/x@mail.example.com", "it must end after the port"),
        ("smtp://iam:hunter2@mail.example.com/?tls=no", "it must end after the port"),
        ("smtp://iam:hunter2@mail.example.com\r\nx", "it must end after the port"),
        ("smtp://iam@mail.example.com", "both a user name and a password"),
    ],
)
def test_a_wrong_mail_server_is_one_sentence_that_does_not_show_the_password(
    monkeypatch: pytest.MonkeyPatch, url: str, sentence: str
) -> None:
    monkeypatch.setenv("IAM_SMTP_URL", url)
    monkeypatch.setenv("IAM_MAIL_FROM", "iam@example.com")

    with pytest.raises(SettingsInvalid) as wrong:
        load_settings()

    (mistake,) = wrong.value.mistakes
    assert mistake.startswith("IAM_SMTP_URL: ")
    assert sentence in mistake
    assert mistake.endswith(".")
    assert "hunter2" not in mistake


@pytest.mark.parametrize(
    "sender",
    ["nobody", "Iam <iam@example.com", "a@b@c", "Iam <i@e.com>\r\nBcc: x@e.com", "i @e.com"],
)
def test_whom_mails_are_from_is_an_address(monkeypatch: pytest.MonkeyPatch, sender: str) -> None:
    monkeypatch.setenv("IAM_MAIL_FROM", sender)

    with pytest.raises(SettingsInvalid, match=r"it must look like Example <no-reply@example.com>"):
        load_settings()


def test_a_mail_server_needs_a_sender() -> None:
    with pytest.raises(SettingsInvalid, match="IAM_SMTP_URL needs IAM_MAIL_FROM"):
        load_settings(smtp_url=SERVER)


def test_the_password_of_the_mail_server_is_in_no_representation_of_the_settings() -> None:
    settings = load_settings(smtp_url=SERVER, mail_from="iam@example.com")

    assert settings.mail_server is not None
    assert settings.mail_server.password == "p@ss"
    for text in (repr(settings), repr(settings.mail_server)):
        assert "p@ss" not in text
        assert "p%40ss" not in text


@pytest.mark.parametrize(
    ("url", "plaintext", "tls", "port"),
    [
        ("smtps://mail.example.com", False, "implicit", 465),
        ("smtp://mail.example.com", False, "starttls", 587),
        ("smtp://mail.example.com:25", True, "offered", 25),
        ("smtp://127.0.0.1:25", False, "none", 25),
        ("smtp://localhost", False, "none", 587),
    ],
)
def test_mail_to_another_machine_is_encrypted_unless_that_is_given_up(
    url: str, plaintext: bool, tls: str, port: int
) -> None:
    settings = load_settings(
        smtp_url=url, mail_from="Iam <iam@example.com>", smtp_allow_plaintext=plaintext
    )

    assert settings.mail_server is not None
    assert (settings.mail_server.tls, settings.mail_server.port) == (tls, port)
    assert settings.mail_sender == ("Iam", "iam@example.com")


def test_without_a_mail_server_mails_are_files_in_development_and_nothing_in_production() -> None:
    development = load_settings(data_dir=Path("/srv/iam"))
    production = load_settings(issuer="https://id.example.com")

    assert development.mail_folder == Path("/srv/iam/mail")
    assert production.mail_folder is None
    assert not production.sends_mail
