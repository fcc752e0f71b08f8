"""Passwords of archives: however they are given, tried once in a child, and then forgotten; never in clear anywhere."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from mft.catalog.model import ARCHIVE_PASSWORDS, RELEASE_VOTES
from mft.demo.cipherzip import encrypted_zip
from mft.quarantine import Quarantine, Verdict
from mft.upload import passwords as passwords_module
from protocols.errors import NotFoundError, RejectedError
from protocols.filesystem import TakesPassword

if TYPE_CHECKING:
    from tests.core import Core

IN = "/ACME-1/to-support"
PASSPHRASE = "sesam-öffne-dich"
LEAK = b"password=" + b"hunter2-" + b"tr0ub4dor\n"
ARCHIVE = encrypted_zip("app.conf", LEAK, PASSPHRASE)


def kept(core: Core) -> list[Any]:
    with core.database.read() as connection:
        return list(connection.execute(select(ARCHIVE_PASSWORDS)))


def state(core: Core, name: str = "bundle.zip", login: str = "ann") -> str:
    return str(core.client(login).document(f"/ACME-1/.meta/{name}.status.json")["state"])


def opened(core: Core, name: str = "bundle.zip") -> bytes:
    """Return the archive's member as support reads it, without a password."""
    with zipfile.ZipFile(io.BytesIO(core.client("eve").get(f"{IN}/{name}"))) as archive:
        return archive.read("app.conf")


def test_archive_with_its_password_is_opened_and_scrubbed(house):
    """Given with the upload: support reads the scrubbed member, and nothing of the password is left."""
    handle = house.client("ann").begin(f"{IN}/bundle.zip")
    assert isinstance(handle, TakesPassword)
    handle.write(0, ARCHIVE)
    handle.give_password(PASSPHRASE)
    handle.commit()
    assert len(kept(house)) == 1
    house.work()
    assert b"hunter2" not in opened(house)
    assert kept(house) == []


@pytest.mark.parametrize("order", ["before", "after", "while it is held back"])
def test_file_with_the_password_beside_the_archive_opens_it(house, order):
    """NAME.password is taken whenever it comes, is no file to anybody, and is forgotten once it was tried."""
    ann = house.client("ann")
    if order == "before":
        ann.put(f"{IN}/bundle.zip.password", PASSPHRASE.encode() + b"\r\n")
    ann.put(f"{IN}/bundle.zip", ARCHIVE)
    if order == "while it is held back":
        house.work()
        assert state(house) == "quarantined"
    if order != "before":
        ann.put(f"{IN}/bundle.zip.password", PASSPHRASE.encode() + b"\n")
    assert ann.names(IN) == ["bundle.zip"]
    with pytest.raises(NotFoundError):
        ann.stat(f"{IN}/bundle.zip.password")
    house.work()
    assert b"hunter2" not in opened(house)
    assert house.client("eve").names(IN) == ["bundle.zip"]
    assert kept(house) == []
    assert len(house.rows()) == 1
    assert [event["login"] for event in house.events("upload.password_given")] == ["ann"]


def test_password_is_nowhere_in_clear(house):
    """Neither the catalog nor any other file has it, in any encoding of ours, before and after it was tried."""
    ann = house.client("ann")
    ann.put(f"{IN}/bundle.zip.password", PASSPHRASE.encode())

    def check() -> None:
        house.database.truncate_journal()
        for path in house.data.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            assert PASSPHRASE.encode() not in content, path
            assert b"sesam" not in content, path

    check()
    ann.put(f"{IN}/bundle.zip", ARCHIVE)
    house.work()
    check()


def test_wrong_password_holds_the_archive_back_and_another_opens_it(house):
    """The wrong one is forgotten, the status says that none opened it, and the right one given later does."""
    ann = house.client("ann")
    ann.put(f"{IN}/bundle.zip.password", b"not this one\n")
    ann.put(f"{IN}/bundle.zip", ARCHIVE)
    house.work()
    status = ann.document("/ACME-1/.meta/bundle.zip.status.json")
    assert status["state"] == "quarantined"
    assert kept(house) == []
    upload = house.rows()[0].id
    house.client("ann").filesystem._finder.rooms.uploads.passwords.give(upload, [PASSPHRASE], login="ann")
    house.work()
    assert b"hunter2" not in opened(house)


def test_password_that_comes_while_the_archive_is_looked_into_is_tried_too(house):
    """The child had none; before the upload is held back one has come: it is looked into again, uncounted."""
    ann = house.client("ann")
    ann.put(f"{IN}/bundle.zip", ARCHIVE)
    upload = house.rows()[0].id
    outcome = house.intake._scrubbing.scrub(upload)
    ann.put(f"{IN}/bundle.zip.password", PASSPHRASE.encode())
    house.intake._settling.settle(upload, outcome)
    assert house.states() == ["landed"]
    house.work()
    assert b"hunter2" not in opened(house)
    assert house.rows()[0].attempts == 1


def test_password_opens_only_its_senders_archive(house):
    """Another login's NAME.password waits for that login's own file, and no id of another's upload is known to it."""
    house.client("ann").put(f"{IN}/bundle.zip", ARCHIVE)
    house.client("bob").put(f"{IN}/bundle.zip.password", PASSPHRASE.encode())
    house.work()
    assert state(house) == "quarantined"
    given = house.client("bob").filesystem._finder.rooms.uploads.passwords
    with pytest.raises(NotFoundError):
        given.give(house.rows()[0].id, [PASSPHRASE], login="bob")


def test_votes_are_void_once_a_password_came_and_a_decision_wins_over_it(house):
    """What one releaser wished of the locked file is forgotten; once enough agreed no password is taken."""
    house.client("ann").put(f"{IN}/bundle.zip", ARCHIVE)
    house.work()
    upload = house.rows()[0].id
    quarantine = Quarantine(database=house.database, trail=house.parts.trail, approvals=2)
    quarantine.vote(upload, Verdict.DESTROY, login="rita", reason="no use")
    house.client("ann").put(f"{IN}/bundle.zip.password", b"wrong")
    house.work()
    with house.database.read() as connection:
        assert connection.execute(select(RELEASE_VOTES)).all() == []
    for login in ("rita", "rolf"):
        quarantine.vote(upload, Verdict.DESTROY, login=login, reason="no use")
    with pytest.raises(RejectedError, match="decided"):
        house.client("ann").put(f"{IN}/bundle.zip.password", PASSPHRASE.encode())


def test_password_without_an_archive_is_forgotten_after_a_day(house):
    """One whose archive never came is gone with the first sweep after that; a second one took the first one's place."""
    for word in (b"one", b"two"):
        house.client("ann").put(f"{IN}/bundle.7z.password", word)
    assert len(kept(house)) == 1
    house.intake._sweep.run()
    assert len(kept(house)) == 1
    with house.database.write() as connection:
        late = passwords_module.PATIENCE_SECONDS + 1
        connection.execute(update(ARCHIVE_PASSWORDS).values(created_at=ARCHIVE_PASSWORDS.c.created_at - late))
    house.intake._sweep.run()
    assert kept(house) == []


def test_password_of_an_upload_that_has_ended_is_forgotten(house):
    """Whatever way it ended: the next sweep leaves nothing of it, and the one of an upload under way stays."""
    handle = house.client("ann").begin(f"{IN}/bundle.zip")
    handle.give_password(PASSPHRASE)
    house.intake._sweep.run()
    assert len(kept(house)) == 1
    handle.abort("the connection was lost")
    assert house.states() == ["expired"]
    house.intake._sweep.run()
    assert kept(house) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"x" * 2000, "1024"),
        (b"x" * 20_000, "no more"),
        (b"a\nb\nc\nd\ne\nf\ng\nh\ni\n", "at most 8"),
        (b"a\x00b", "1 to 1024"),
    ],
)
def test_file_that_is_no_password_is_refused_with_a_reason(house, content, said):
    """Nothing of it is kept."""
    with pytest.raises(RejectedError, match=said):
        house.client("ann").put(f"{IN}/bundle.zip.password", content)
    assert kept(house) == []


def test_file_that_only_ends_like_a_password_is_a_file(house):
    """Where NAME is no archive and nothing the sender sent, NAME.password is what it always was."""
    house.client("ann").put(f"{IN}/db.password", b"just a file\n")
    house.work()
    assert house.client("ann").names(IN) == ["db.password"]
    assert house.states() == ["stored"]


def test_password_of_a_file_without_a_case_goes_with_it(house):
    """Both dropped at the root, assigned later: the archive is opened in its case."""
    ann = house.client("ann")
    ann.put("/bundle.zip", ARCHIVE)
    ann.put("/bundle.zip.password", PASSPHRASE.encode())
    assert ann.names("/_unfiled") == [".meta", "bundle.zip"]
    ann.rename("/_unfiled/bundle.zip", f"{IN}/bundle.zip")
    house.work()
    assert b"hunter2" not in opened(house)
    assert kept(house) == []
