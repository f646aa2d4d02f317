"""A real SimpleSAMLphp from Debian as an identity provider, served by PHP's own server."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from tests.saml.conftest import make_key_pair, sp_metadata
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.run import run_directory

HOME = Path("/usr/share/simplesamlphp")
USER, PASSWORD = "ada", "her password there"

_CONFIG = """<?php
$config = [
    'baseurlpath' => '{address}/',
    'certdir' => '{directory}/', 'loggingdir' => '{directory}/',
    'datadir' => '{directory}/', 'tempdir' => '{directory}/tmp',
    'secretsalt' => 'of a test', 'auth.adminpassword' => 'nobody uses it',
    'admin.protectindexpage' => true, 'admin.protectmetadata' => false,
    'technicalcontact_name' => 'nobody', 'technicalcontact_email' => 'nobody@corp.test',
    'timezone' => 'UTC', 'logging.level' => SimpleSAML\\Logger::DEBUG, 'logging.handler' => 'errorlog',
    'enable.saml20-idp' => true, 'module.enable' => ['exampleauth' => true, 'saml' => true],
    'store.type' => 'sql', 'store.sql.dsn' => 'sqlite:{directory}/store.sq3', 'store.sql.prefix' => 'ssp',
    'session.cookie.secure' => false, 'session.cookie.samesite' => 'Lax',
    'language.default' => 'en', 'theme.use' => 'default', 'trusted.url.domains' => null,
    'metadata.sources' => [
        ['type' => 'flatfile', 'directory' => '{directory}/metadata'],
        ['type' => 'xml', 'file' => '{directory}/sp.xml'],
    ],
];
"""
_SOURCES = """<?php
$config = ['people' => ['exampleauth:UserPass', '{user}:{password}' => [
    'uid' => ['ada'], 'mail' => ['ada@acme.test'], 'displayName' => ['Ada Lovelace'],
    'groups' => ['staff', 'poets'],
]]];
"""
_HOSTED = """<?php
$metadata['{address}/idp'] = [
    'host' => '__DEFAULT__', 'privatekey' => 'idp.key', 'certificate' => 'idp.pem', 'auth' => 'people',
    'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
    'NameIDFormat' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
    'authproc' => [3 => ['class' => 'saml:AttributeNameID', 'attribute' => 'uid',
        'Format' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent']],
    'assertion.encryption' => {encrypts}, 'sign.logout' => true, 'validate.logout' => true,
    'validate.authnrequest' => true, 'saml20.sign.response' => true, 'saml20.sign.assertion' => true,
];
"""


@dataclass
class SimpleSaml:
    """A running SimpleSAMLphp. `address` is on a name of its own, of another site than ours."""

    address: str
    local: str
    directory: Path

    @property
    def entity_id(self) -> str:
        return f"{self.address}/idp"

    @property
    def metadata(self) -> str:
        """Where its metadata is."""
        return f"{self.local}/saml2/idp/metadata.php?output=xml"

    def know(self, metadata: bytes) -> None:
        """Register us by our metadata."""
        (self.directory / "sp.xml").write_bytes(metadata)


@contextmanager
def run_simplesaml(*, encrypts: bool) -> Iterator[SimpleSaml]:
    """SimpleSAMLphp until the `with` block ends, with one person (`USER`, `PASSWORD`).

    `encrypts`: whether its assertions are encrypted for whoever has a key for that.
    """
    php = shutil.which("php")
    if php is None or not HOME.exists():
        raise RuntimeError("SimpleSAMLphp is not installed: run scripts/test-tools.sh")
    directory = Path(tempfile.mkdtemp(prefix="simplesaml-", dir=run_directory()))
    port = free_port()
    address = f"http://idp.corp.localhost:{port}"
    pair = make_key_pair()
    (directory / "idp.key").write_bytes(pair.pem)
    (directory / "idp.pem").write_bytes(pair.certificate.public_bytes(Encoding.PEM))
    (directory / "sp.xml").write_text(sp_metadata("urn:nobody", ("https://nobody.test/acs",)))
    (directory / "metadata").mkdir()
    given = {
        "address": address,
        "directory": directory,
        "user": USER,
        "password": PASSWORD,
        "encrypts": "true" if encrypts else "false",
    }
    for name, text in (
        ("config.php", _CONFIG),
        ("authsources.php", _SOURCES),
        ("metadata/saml20-idp-hosted.php", _HOSTED),
    ):
        filled = text
        for key, value in given.items():
            filled = filled.replace(f"{{{key}}}", str(value))
        (directory / name).write_text(filled)
    command = [php, "-d", "session.save_path=" + str(directory), "-d", "error_reporting=8191"]
    command += ["-S", f"127.0.0.1:{port}", "-t", str(HOME / "www")]
    env = {"SIMPLESAMLPHP_CONFIG_DIR": str(directory), "PHP_CLI_SERVER_WORKERS": "2"}
    local = f"http://127.0.0.1:{port}"
    with Process(command, env=env, name="simplesamlphp") as process:
        process.wait_ready(f"{local}/saml2/idp/metadata.php")
        yield SimpleSaml(address, local, directory)
