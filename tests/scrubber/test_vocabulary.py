"""Programs and manuals in an upload stay as they are: what a colon or a word names there is nobody."""

from __future__ import annotations

import pytest

from scrubber.gate import Strength, is_secret
from scrubber.vocabulary import is_composed, is_expression, is_registered, is_vocabulary

PYTHON = b'''\
class AttributeEventToken:
    """A token propagated throughout the course of a chain of attribute events.

    It is sent as the initiator when a user defined listener is called.
    """

    SECRET_KEY = None

    def __init__(self, host: str, node: AstNode, owner: Optional[str] = None) -> None:
        self.host = host
        self.server_name = server_name
        self.owner = account_id
        self.client_token = client_token
        self._source_credentials = source_credentials
        user = packet.get_uint32()
        url.set(domain=this.domain, location=self.location)

    def load(self) -> PrivateKey:
        """
        Returns a copy of the key that was given before.
        """
        return cast(PrivateKey, self.key)
'''
JAVASCRIPT = b"""\
const user = getUserInfo(options, ctx);
const node = node.middle;
process.domain = exports.active;
fork({ uid: options.uid, host: localAddress, username: kEnumerableProperty });
require("node:util"); require("node:querystring");
const key = `${cluster}:${service}`;
"""
MANUAL = b"""\
Settings for user directories are read first; user supplied arguments come next. The passwd routines of the library
are used where a user environment says so. See the login prompt for user verification. The user probably has no mapping.
A basic add/delete mutation is enough; bearer authentication is described below, and
the username and password are omitted.
"""
FAILLOCK = (
    b"# Only the file is tracked.\n" * 20
    + b"# in /etc/passwd and ignore centralized (AD, IdM, LDAP, etc.) users.\n# audit\n"
    + (b"kpasswd 464/udp\nYou can pass 'nohdparm' to it; we don't log in as user don't.\n")
)
LISTINGS = b"""\
ii  libpam-cap:amd64   1:2.66-4+deb12u2+b2   amd64   POSIX 1003.1e capabilities (PAM module)
[    0.401738] Serial: 8250/16550 driver, 1 ports, IRQ sharing disabled
    Signature Value:
        3b:23:18:92:89:a0:8d:ac:4b:55:34:46:2a:8b:86:3b:51:3a:
        06:5f:a4:bc:fa:20:7c:55
# Serial: 13492815561806991280
        0x0040:  543E 5426 544E 5427 5786 2883 2507 8229 5442 541B
51FA 51F8 520A 52A0 529F 0002 3340 0035 531D 4EDF
2E4A  ; [.2E6A.0020.0002][*09AC.0020.0002] # MULTANI LETTER NA
"minipass": "^7.0.2", "compass": "~1.2.3-beta.1",
"""
POLICY = b'{"Action": ["ec2:CreateTags", "secretsmanager:GetSecretValue", "route53:List*"], "Owner": "amazon"}\n'


@pytest.mark.parametrize(
    "text",
    [PYTHON, JAVASCRIPT, MANUAL, POLICY, FAILLOCK, LISTINGS],
    ids=["python", "javascript", "manual", "policy", "faillock", "listings"],
)
def test_nothing_is_replaced(scrubbed, text):
    """Not a byte changes, and nothing is learned that would."""
    assert scrubbed(text)[0].decode() == text.decode()


@pytest.mark.parametrize(
    "name",
    [
        b"str",
        b"metadata",
        b"userId",
        b"account_id",
        b"properties.get",
        b"UpdateExpression",
        b"ec2",
        b"i686-w64-mingw32",
    ],
)
def test_words_of_programs_are_nobody(name):
    """Words, and what is put together of them."""
    assert is_vocabulary(name)


@pytest.mark.parametrize(
    "name", [b"mrossi", b"anna.berg", b"gruber.a", b"zeus7", b"web01", b"report_user", b"falcon", b"JohnSmith", b"ab"]
)
def test_names_are_somebody(name):
    """Names of people and hosts are no such words, even where they are made of one."""
    assert not is_vocabulary(name)


def test_members_are_no_domains():
    """What a program reads of an object ends with no top level that anybody could have registered."""
    assert is_expression(b"node.middle")
    assert is_expression(b"process.domain")
    assert is_expression(b"self.id")
    assert not is_expression(b"kunde-nord.de")
    assert not is_expression(b"db1.lager.local")
    assert is_composed(b"domain_fqdn")


@pytest.mark.parametrize("name", [b"orders.summit.com", b"sql.acme.net"])
def test_hosts_may_be_made_of_words(name):
    """A host below a registry's label is one, of whatever words."""
    assert is_vocabulary(name)
    assert is_registered(name)


def test_such_a_host_is_replaced(scrubbed):
    """Wherever its full name stands."""
    assert b"acme" not in scrubbed(b"10:00:01 INFO connecting to https://portal.acme.com/api\n")[0]


@pytest.mark.parametrize("name", [b"acme.com", b"model.layer.net", b"logger.level.info", b"node.parent.name"])
def test_members_of_members_are_no_hosts(name):
    """Two labels may be anything, and so may what ends as fields do."""
    assert not is_registered(name)


@pytest.mark.parametrize(
    "value",
    [b"source_credentials", b"InputKind.AFTER_RESULT", b"dict[str, str]", b"{cluster}:{service}", b"{password!r}"],
)
def test_expressions_are_no_secrets(value):
    """What a program puts where a secret will be."""
    assert not is_secret(value, Strength.STRONG, quoted=False, prose=False)


@pytest.mark.parametrize(
    "value", [b"correct_horse_battery_staple", b"Summer.2026", b"Sunny day in may 7", b"tiger", b"!6#x9+2zj"]
)
def test_passwords_of_words_are_secrets(value):
    """Words alone make a password, too."""
    assert is_secret(value, Strength.STRONG, quoted=True, prose=False)
