"""Tokens of a case: who holds one may do what it says, for as long as it and the case live, and nothing else."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from casemap.static import StaticLookup
from mft.auth.authenticator import Authenticator
from mft.auth.casetokens import CaseTokens, narrowing_of
from mft.auth.errors import InvalidAccountError
from mft.auth.minting import Minting, Wish
from mft.auth.principals import Principals
from mft.auth.tokens import CASE_PREFIX, Allowance, has_token_form, new_token_text, parse_networks
from mft.policy import Scope
from mft.revocation import Subject
from protocols.errors import AuthenticationError, EndedTokenError
from protocols.session import BearerCredential, PasswordCredential
from tests.mft.gatehouse import Gatehouse, origin
from tests.protocols.memory import MemoryFileSystem, MemoryTree

DAY = 86_400.0


class Cases:
    """A case system of one case, which a test can change."""

    def __init__(self, house: Gatehouse) -> None:
        self._house = house
        self.set()

    def set(self, *, state: str = "open", customer: str = "acme") -> None:
        self._table = StaticLookup(
            {
                "customers": [{"id": "acme", "name": "Acme"}, {"id": "globex", "name": "Globex"}],
                "principals": [],
                "cases": [{"number": "C-1", "title": "", "customer": customer, "state": state}],
            }
        )

    def principal(self, login: str):
        return self._table.principal(login)

    def case(self, number: str):
        return self._table.case(number)


@pytest.fixture
def house(tmp_path):
    house = Gatehouse(tmp_path / "catalog.db")
    house.cases = Cases(house)
    house.narrowed = []

    def filesystem_for(principal, _session, _origin, narrowing):
        house.narrowed.append(narrowing)
        return MemoryFileSystem(MemoryTree(), principal.login)

    house.authenticator = Authenticator(
        database=house.database,
        audit=house.audit,
        principals=Principals(house.accounts, house.cases, CaseTokens(house.tokens, house.cases)),
        tokens=house.tokens,
        passwords=house.passwords,
        throttle=house.throttle,
        registry=house.registry,
        filesystem_for=filesystem_for,
        may_enter=lambda _principal, number, _origin: house.cases.case(number).is_open,
        now=house.clock.now,
    )
    yield house
    house.close()


def mint(house, **wish):
    minting = Minting(house.tokens, ttl=30 * DAY, ttl_max=90 * DAY)
    ends = wish.pop("expires", house.clock.now() + dt.timedelta(days=1))
    return minting.mint(house.cases.case("C-1"), Wish(expires=ends, **wish), by="test")


def refused(house, login, text, **where):
    with pytest.raises(AuthenticationError):
        house.log_in(PasswordCredential(login=login, password=text), origin(**where))
    return house.events("login.denied")[-1]["reason"]


@pytest.fixture(autouse=True)
def _at_now(house):
    """Let the house's clock stand at now: minting looks at the real one."""
    house.clock.seconds = dt.datetime.now(dt.UTC).timestamp()


def test_case_token_has_a_form_that_scanners_find(house):
    """It begins with its own prefix, and its checksum can be checked without us."""
    minted = mint(house)

    assert re.fullmatch("mftc_[a-z2-7]{39}", minted.text)
    assert has_token_form(minted.text)
    assert minted.text not in house.everything_written()


def test_case_token_opens_a_session_for_its_case_alone(house):
    """Number and token open a session that is narrowed to the case and the token's scopes, for nobody by name."""
    minted = mint(house)
    session = house.log_in(PasswordCredential(login="C-1", password=minted.text), origin())

    assert session.login == f"C-1:{minted.token.id}"
    assert house.narrowed[-1].case == "C-1"
    assert house.narrowed[-1].scopes == {Scope.UPLOAD}
    assert house.log_in(BearerCredential(token=minted.text), origin()).login == session.login
    assert house.narrowed[-1].case == "C-1"


@pytest.mark.parametrize("login", ["C-2", "ann", "c-1", "C-1@ann", "ann@C-1"])
def test_case_token_under_another_login_is_refused(house, login):
    """The login is the number, as it is written, and nothing else."""
    assert refused(house, login, mint(house).text) == "the token is another case's"


def test_login_of_a_case_token_cannot_be_claimed(house):
    """What a session of a token is called can be nobody's login: a password does not open it."""
    minted = mint(house)

    assert refused(house, f"C-1:{minted.token.id}", "a password of mine") == "unknown login"


@pytest.mark.parametrize("change", [{"state": "closed"}, {"customer": "globex"}])
def test_case_token_ends_with_its_case(house, change):
    """A closed case, or one that is another customer's by now, opens nothing; the live session ends."""
    minted = mint(house)
    session = house.log_in(PasswordCredential(login="C-1", password=minted.text), origin())
    house.cases.set(**change)
    house.authenticator.recheck()

    assert session.revoked is not None
    assert "case" in refused(house, "C-1", minted.text)


def test_expired_case_token_ends_its_session(house):
    """After its time a token opens nothing, and the session that it opened ends at the next look."""
    minted = mint(house)
    session = house.log_in(PasswordCredential(login="C-1", password=minted.text), origin())
    house.clock.seconds += DAY + 1
    house.authenticator.recheck()

    assert session.revoked == "the token has expired"
    assert refused(house, "C-1", minted.text) == "the token has expired"


def test_revoked_case_token_ends_its_session(house):
    """Revoking ends what it opened as soon as the row is seen."""
    minted = mint(house)
    session = house.log_in(PasswordCredential(login="C-1", password=minted.text), origin())
    house.tokens.revoke(minted.token.id, by="test")
    house.authenticator.apply(Subject.TOKEN, minted.token.id, "token.revoked")

    assert session.revoked is not None
    assert refused(house, "C-1", minted.text) == "the token was revoked"


@pytest.mark.parametrize(
    ("peer", "taken"),
    [("192.0.2.9", True), ("::ffff:192.0.2.9", True), ("2001:db8::5", True), ("192.0.3.1", False), ("::1", False)],
)
def test_case_token_is_good_from_its_networks(house, peer, taken):
    """From outside its networks it is refused; its holder learns why, and a stranger with another text does not."""
    minted = mint(house, networks=["192.0.2.0/24", "2001:db8::/32"])
    if taken:
        assert house.log_in(PasswordCredential(login="C-1", password=minted.text), origin(peer)).login
    else:
        assert refused(house, "C-1", minted.text, peer=peer) == "the token may not be used from there"
        with pytest.raises(EndedTokenError, match=f"^this token may not be used from {peer}: it is limited to other "):
            house.log_in(PasswordCredential(login="C-1", password=minted.text), origin(peer))
        with pytest.raises(AuthenticationError) as caught:
            house.log_in(PasswordCredential(login="C-1", password=new_token_text(CASE_PREFIX)), origin(peer))
        assert type(caught.value) is AuthenticationError


def test_holder_of_a_token_whose_case_is_closed_learns_that(house):
    """It is not the token that is wrong: to ask for another helps nobody."""
    minted = mint(house)
    house.cases.set(state="closed")
    with pytest.raises(EndedTokenError, match=r"^the case of this token is closed, or is not here any more$"):
        house.log_in(PasswordCredential(login="C-1", password=minted.text), origin())


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "300.1.1.1", "example.com", "10.0.0.0/8 "])
def test_networks_that_are_none_are_refused(text):
    """A network is an address or a CIDR block."""
    with pytest.raises(InvalidAccountError):
        parse_networks([text])


def test_minting_refuses_what_cannot_be(house):
    """No token for a closed case, beyond the longest life, in the past, without scopes, or with a limit of nothing."""
    now = house.clock.now()
    for wish in (
        {"expires": now + dt.timedelta(days=91)},
        {"expires": now - dt.timedelta(days=1)},
        {"scopes": frozenset()},
        {"max_bytes": 0},
        {"label": "x" * 201},
    ):
        with pytest.raises(InvalidAccountError):
            mint(house, **wish)
    house.cases.set(state="closed")
    with pytest.raises(InvalidAccountError, match="closed"):
        mint(house)


def test_refresh_rotates_and_lengthens(house):
    """A refresh gives more time, and if wished a new text; a revoked token stays revoked."""
    minted = mint(house)
    minting = Minting(house.tokens, ttl=30 * DAY, ttl_max=90 * DAY)
    case = house.cases.case("C-1")
    fresh, text = minting.refresh(minted.token, case, expires=None, rotate=True, by="test")

    assert fresh.expires > minted.token.expires
    assert text is not None
    assert house.tokens.find(minted.text) is None
    assert house.tokens.find(text).id == minted.token.id
    house.tokens.revoke(fresh.id, by="test")
    with pytest.raises(InvalidAccountError, match="revoked"):
        minting.refresh(fresh, case, expires=None, rotate=False, by="test")


def test_scoped_login_token_without_transfer_sees_no_file(house):
    """A login's token for the API alone is narrowed to nothing in the tree, and opens no SFTP session."""
    token = house.tokens.create("ann", by="test", scopes=frozenset({"cases:read"})).token

    assert narrowing_of(token).scopes == frozenset()
    assert narrowing_of(house.tokens.create("ann", by="test").token).scopes is None
    assert Allowance() == token.allowance
