"""One-time passwords as RFC 6238 says them, and what counts as one."""

import base64
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from iam.kernel.clock import Instant
from iam.kernel.secrets import system_random
from iam.signin.totp import STEP, enrolment_address, make_totp_secret, matching_step

SECRET = base64.b32encode(b"12345678901234567890").decode()
"""Of RFC 6238, appendix B."""


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_codes_are_those_of_the_specification(seconds: int, code: str) -> None:
    assert matching_step(SECRET, code, Instant(seconds * 1000), after=0) == seconds // STEP


def test_a_clock_may_be_off_by_one_step_either_way_and_no_more() -> None:
    code, own = "005924", 1234567890 // STEP
    counts = {
        steps: matching_step(SECRET, code, Instant((own + steps) * STEP * 1000), after=0) == own
        for steps in range(-3, 4)
    }

    assert counts == {-3: False, -2: False, -1: True, 0: True, 1: True, 2: False, 3: False}


def test_a_code_of_a_step_that_was_taken_counts_no_more() -> None:
    now, own = Instant(1234567890 * 1000), 1234567890 // STEP

    assert matching_step(SECRET, "005924", now, after=own) is None
    assert matching_step(SECRET, "005924", now, after=own - 1) == own


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "5924",
        "0005924",
        "00592a",
        "٠٠٥٩٢٤",
        "005924\x00",
        "-05924",
        "+05924",
        "0" * 100_000,
    ],
)
def test_what_has_not_the_form_of_a_code_is_none(text: str) -> None:
    assert matching_step(SECRET, text, Instant(1234567890 * 1000), after=0) is None


def test_spaces_that_people_type_do_not_matter() -> None:
    assert matching_step(SECRET, " 005 924 ", Instant(1234567890 * 1000), after=0)


def test_an_app_reads_the_secret_and_whose_it_is() -> None:
    secret = make_totp_secret(system_random)

    address = urlsplit(enrolment_address(secret, "acme/ana", "Hanzo IAM"))

    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert unquote(address.path) == "/Hanzo IAM:acme/ana"
    assert parse_qs(address.query) == {"secret": [secret], "issuer": ["Hanzo IAM"]}
    assert len(base64.b32decode(secret)) == 20
