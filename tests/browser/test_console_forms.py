"""Forms of the console in Chromium: a SAML provider from a file, and an application that may administer."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser.conftest import Show
from tests.saml.conftest import make_key_pair
from tests.support.saml_idp import idp_metadata

IDP = "https://idp.corp.example"


def test_a_saml_provider_is_added_by_a_file_of_its_metadata(
    show: Show, browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "metadata.xml"
    file.write_text(idp_metadata(IDP, (make_key_pair(),), (("HTTP-POST", f"{IDP}/sso"),)))
    context = browser.new_context()
    page = show.sign_in(context, "alice")
    page.goto(f"{show.url}/console/providers")
    page.get_by_role("link", name="New SAML").click()
    expect(page.get_by_text(f"{show.url}/saml/acs")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("corp")
    page.get_by_role("button", name="Add provider").click()
    expect(page.get_by_label("Address of its metadata")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("Give its address here, or the document below.")).to_be_visible()
    page.get_by_label("Or a file with it").set_input_files(file)
    expect(page.get_by_label("Or its metadata as text")).to_have_value(file.read_text())
    # What few need is folded away, and opens by the keyboard.
    expect(page.get_by_label("Form of name to ask for")).to_be_hidden()
    page.get_by_text("More settings").press("Enter")
    page.get_by_label("Form of name to ask for").select_option(index=1)
    page.get_by_role("button", name="Add provider").click()
    expect(page.get_by_text("The provider is there")).to_be_visible()
    expect(page.get_by_text(f"{IDP}/sso")).to_be_visible()
    context.close()


def test_an_application_administers_after_the_question_also_without_scripts(
    show: Show, browser: Browser
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = show.sign_in(context, "alice")
    page.goto(f"{show.url}/console/applications/acme/desk")
    page.get_by_label("Its client secret administers the organization").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Let desk administer acme?")).to_be_visible()
    page.get_by_role("button", name="Let it administer").click()
    expect(page.get_by_text("Administers acme", exact=True)).to_be_visible()
    context.close()
