"""What each command answers, and what no client may do."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest

from protocols.errors import (
    ElsewhereError,
    EndedTokenError,
    LockedError,
    RejectedError,
    UnavailableError,
    WrongEntranceError,
)
from protocols.filesystem import Changes
from protocols.ftp import FtpSettings
from protocols.ftp.listing import fact_row
from tests.contracts.head import MEGABYTE, PASSWORD, REPORT, until
from tests.protocols.ftp.rig import drop, running
from tests.protocols.memory import MemoryFileSystem

if TYPE_CHECKING:
    from pathlib import Path

    from tests.protocols.ftp.rig import House


# -- before the login --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["USER alice", f"PASS {PASSWORD}", "PBSZ 0", "PROT P", "LIST", "EPSV", "TYPE I"])
def test_nothing_of_worth_is_taken_in_clear(house: House, line: str) -> None:
    """Before AUTH TLS no login is looked at and nothing is shown."""
    with house.wire(tls=False) as wire:
        assert wire.ask(line)[0] in {530, 503}
    assert house.accounts.checked == []


def test_commands_slipped_in_before_the_handshake_are_dropped(house: House) -> None:
    """What a third party appends to AUTH TLS is not carried out under TLS (CVE-2011-0411 and its kin)."""
    with house.wire(tls=False) as wire:
        wire.send(b"AUTH TLS\r\nUSER mallory\r\nMKD /in/evil\r\n")
        assert wire.answer()[0] == 234
        wire.secure()
        assert wire.login()[0] == 230
        assert wire.ask("PWD")[0] == 257
        assert [each.login for each in house.accounts.checked] == ["alice"]
    assert house.tree.directories == {(), ("in",), ("out",)}


def test_handshake_that_is_none_ends_the_connection(house: House) -> None:
    """Plain text after 234 is no TLS."""
    with house.wire(tls=False) as wire:
        assert wire.ask("AUTH TLS")[0] == 234
        wire.send(b"USER alice\r\n" * 5)
        with pytest.raises((EOFError, ConnectionError)):
            wire.answers()
    until(lambda: house.server.connections == 0)


def test_half_open_handshake_does_not_stay(certificate: tuple[Path, Path]) -> None:
    """Who never goes on with a handshake is let go, and so is who never logs in."""
    with running(certificate, FtpSettings(handshake_timeout=0.2, login_grace=0.2)) as house:
        with house.wire(tls=False) as silent, house.wire(tls=False) as half:
            half.ask("AUTH TLS")
            assert silent.answer() == (421, "421 it took too long to log in")
            with pytest.raises((EOFError, ConnectionError)):
                half.answer()
        until(lambda: house.server.connections == 0)


def test_old_tls_is_refused(house: House) -> None:
    """TLS 1.1 is not spoken."""
    with house.wire(tls=False) as wire:
        wire.ask("AUTH TLS")
        wire.context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            wire.context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            wire.secure()


def test_client_without_a_login_does_not_go_on_for_ever(house: House) -> None:
    """Of ten thousand commands before a login a hundred are answered."""
    with house.wire() as wire:
        with contextlib.suppress(OSError):
            wire.send(b"NOOP\r\n" * 10_000)
        with pytest.raises((EOFError, OSError)):
            wire.answers()
    assert house.counted.count(("NOOP", 200)) <= house.server._settings.max_early_commands + 1


def test_passwords_are_counted_by_connection(house: House) -> None:
    """After some wrong ones the connection is over."""
    with house.wire() as wire:
        for _ in range(6):
            wire.ask("USER alice")
            assert wire.ask("PASS wrong")[0] == 530
        with pytest.raises((EOFError, ConnectionError)):
            wire.answer()


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (EndedTokenError("this token has expired"), 530, "this token has expired"),
        (WrongEntranceError("this is served at ftps://eu", authorities={}), 530, "this is served at ftps://eu"),
        (UnavailableError("the case system does not answer"), 421, "the case system does not answer"),
        (RuntimeError("/secret/path"), 421, "internal error"),
    ],
)
def test_login_that_fails_says_what_may_be_said(house: House, error: Exception, code: int, text: str) -> None:
    """Reasons that a holder may know are told; others are logged."""
    house.accounts.failure = error
    with house.wire() as wire:
        wire.ask("USER alice")
        answer = wire.ask(f"PASS {PASSWORD}")
    assert answer[0] == code
    assert text in answer[1]
    assert "secret" not in answer[1]


def test_throttled_login_is_told_when_to_come_back(house: House) -> None:
    """421, with the time, and the end."""
    house.accounts.throttled = True
    with house.wire() as wire:
        wire.ask("USER alice")
        assert wire.ask(f"PASS {PASSWORD}") == (421, "421 too many failures; try again in 30 seconds")
        with pytest.raises((EOFError, ConnectionError)):
            wire.answer()


def test_connections_that_only_wait_shut_nobody_out(certificate: tuple[Path, Path]) -> None:
    """However many there are: the one that has been silent for longest goes for the newest."""
    with running(certificate, FtpSettings(max_unauthenticated=2)) as house:
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(house.login())
            waiting = [stack.enter_context(house.wire(tls=False)) for _ in range(6)]
            stack.enter_context(house.login())
            assert waiting[0].answer() == (421, "421 too many wait for a login")
            assert first.ask("NOOP")[0] == 200
            assert waiting[-1].ask("NOOP")[0] != 421
        until(lambda: house.server.connections == 0)


# -- data connections --------------------------------------------------------------------------------------------------


def test_data_in_clear_are_refused(house: House) -> None:
    """PROT C is refused, and without PROT P nothing is transferred."""
    with house.wire() as wire:
        wire.ask("USER alice")
        wire.ask(f"PASS {PASSWORD}")
        assert wire.ask("PROT C")[0] == 534
        assert wire.ask("CCC")[0] == 534
        wire.ask("EPSV")
        assert wire.ask("MLSD")[0] == 521
        assert wire.ask("RETR /out/report.txt")[0] in {425, 521}


def test_data_connection_without_tls_gets_nothing(certificate: tuple[Path, Path]) -> None:
    """A client that forgets TLS on the data connection is told so."""
    with running(certificate, FtpSettings(handshake_timeout=0.2)) as house, house.login() as wire:
        with socket.create_connection(("127.0.0.1", wire.passive()), timeout=20) as data:
            assert wire.ask("RETR /out/report.txt")[0] == 150
            assert wire.answer()[0] == 425
            with pytest.raises((ConnectionError, AssertionError)):
                assert data.recv(1000) == b"something"
        assert wire.fetch("RETR /out/report.txt") == REPORT


def test_data_connection_that_never_comes(certificate: tuple[Path, Path]) -> None:
    """425 after a while, and the session goes on."""
    with running(certificate, FtpSettings(connect_timeout=0.1)) as house, house.login() as wire:
        wire.passive()
        assert wire.ask("STOR /in/file")[0] == 150
        assert wire.answer()[0] == 425
        assert wire.ask("NOOP")[0] == 200
    assert house.tree.happened("landed") == []


def test_data_connection_of_somebody_else_is_turned_away(house: House) -> None:
    """A port that a third machine found first is not its own: the client still gets in."""
    with house.login() as wire:
        port = wire.passive()
        with socket.socket() as stranger:
            stranger.bind(("127.0.0.2", 0))
            stranger.connect(("127.0.0.1", port))
            stranger.settimeout(20)
            data = socket.create_connection(("127.0.0.1", port), timeout=20)
            assert wire.ask("RETR /out/report.txt")[0] == 150
            with wire.context.wrap_socket(data) as tls:
                content = wire.to_the_end(tls)
            assert wire.answer()[0] == 226
            assert content == REPORT
            assert stranger.recv(1) == b""


@pytest.mark.parametrize("line", ["PORT 127,0,0,1,200,10", "EPRT |1|127.0.0.1|51210|"])
def test_active_mode_is_off(house: House, line: str) -> None:
    """The server connects to nobody unless it was told to."""
    with house.login() as wire:
        assert wire.ask(line)[0] == 502


def test_active_mode_goes_to_the_client_alone(certificate: tuple[Path, Path]) -> None:
    """Where it is on: to no other machine and to no service, by PORT and by EPRT; and it works."""
    with running(certificate, FtpSettings(active=True)) as house, house.login() as wire:
        for line in (
            "PORT 192,0,2,1,200,10", "EPRT |1|192.0.2.1|51210|", "PORT 127,0,0,1,0,22", "EPRT |2|::1|51210|",
        ):  # fmt: skip
            assert wire.ask(line)[0] == 504
        for line in ("PORT 127,0,0,1,999,10", "PORT x", "EPRT |1|::1|5000|", "EPRT |3|127.0.0.1|5000|", "EPRT"):
            assert wire.ask(line)[0] in {501, 522}
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.settimeout(20)
            assert wire.ask(f"EPRT |1|127.0.0.1|{listening.getsockname()[1]}|")[0] == 200
            wire.send(b"RETR /out/report.txt\r\n")
            assert wire.answer()[0] == 150
            raw, _ = listening.accept()
            with wire.context.wrap_socket(raw) as tls:
                content = wire.to_the_end(tls)
        assert content == REPORT
        assert wire.answer()[0] == 226


def test_passive_ports_and_address_are_those_of_the_settings(certificate: tuple[Path, Path]) -> None:
    """Ports come from the range; PASV names the address that clients use; a range that is used up says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        settings = FtpSettings(passive_ports=(first, first))
        with running(certificate, settings, passive_address="192.0.2.7") as house, house.login() as wire:
            assert wire.ask("EPSV")[0] == 425
            taken.close()
            assert wire.passive() == first
            wire.ask("PASV")  # the old port is still held: a range of one is used up
            code, text = wire.ask("PASV")
            assert code in {227, 425}
            if code == 227:
                assert "(192,0,2,7," in text


def test_epsv_all_forbids_the_others(house: House) -> None:
    """RFC 2428, section 4."""
    with house.login() as wire:
        assert wire.ask("EPSV ALL")[0] == 200
        assert wire.ask("PASV")[0] == 503
        assert wire.ask("EPSV 2")[0] == 522
        assert wire.ask("EPSV 9")[0] == 522
        assert wire.fetch("NLST") == b"in\r\nout\r\n"


def test_tls_session_of_the_control_connection_may_be_resumed(house: House) -> None:
    """Clients that insist on it can; nobody has to."""
    with house.login() as wire:
        wire.ask("NOOP")  # tickets come after the handshake
        data = socket.create_connection(("127.0.0.1", wire.passive()), timeout=20)
        assert wire.ask("RETR /out/report.txt")[0] == 150
        with wire.context.wrap_socket(data, session=wire.sock.session) as tls:
            assert tls.session_reused
            wire.to_the_end(tls)
        assert wire.answer()[0] == 226


# -- transfers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
def test_upload_without_close_notify_is_no_success(house: House, reset: bool) -> None:
    """A data connection that just ends is a cut: 426, nothing published, the partial kept for who sent it."""
    with house.login() as wire:
        data = wire.begin("STOR /in/file", MEGABYTE)
        until(lambda: house.tree.received("alice", "/in/file") is not None)
        drop(data, reset=reset)
        code, text = wire.answer()
        assert code == 426, text
        assert house.tree.content("/in/file") is None
        assert wire.store("STOR /in/file", b"whole")[0] == 226
    assert house.tree.content("/in/file") == b"whole"


def test_whole_upload_lands_though_the_control_connection_was_lost(house: House) -> None:
    """Firewalls forget silent connections: what came to its honest end is a file."""
    with house.wire() as wire:
        wire.login()
        data = wire.begin("STOR /in/file", b"begun ")
        drop(wire.sock)
        data.sendall(b"and ended")
        data.unwrap().close()
        until(lambda: house.tree.content("/in/file") == b"begun and ended")


@pytest.mark.parametrize("command", ["REST {at}\r\nSTOR", "APPE"], ids=["rest", "appe"])
def test_upload_goes_on_where_size_says(house: House, command: str) -> None:
    """SIZE shows a byte less than was received; REST with STOR, and APPE alone, go on from there."""
    content = MEGABYTE + b"tail"
    with house.login() as wire:
        drop(wire.begin("STOR /in/file", MEGABYTE))
        assert wire.answer()[0] == 426
    with house.login() as wire:
        at = int(wire.ask("SIZE /in/file")[1].split()[1])
        assert 0 < at < len(MEGABYTE)
        if "REST" in command:
            assert wire.ask(f"REST {at}")[0] == 350
        assert wire.store(f"{command.rpartition(chr(10))[2]} /in/file", content[at:])[0] == 226
    assert house.tree.content("/in/file") == content


def test_restart_behind_the_end_is_refused(house: House) -> None:
    """No hole is made, and nothing is sent that is not there."""
    with house.login() as wire:
        for line in ("REST -1", "REST x", "REST 99999999999999999999", f"REST {1 << 63}", "REST ", "REST ٣"):
            assert wire.ask(line)[0] == 501
        wire.passive()
        assert wire.ask(f"REST {(1 << 63) - 1}")[0] == 350
        assert wire.ask("RETR /out/report.txt")[0] == 554
        wire.passive()
        wire.ask("REST 5")
        assert wire.ask("STOR /in/file")[0] == 554
        wire.ask(f"REST {len(REPORT) - 3}")
        assert wire.fetch("RETR /out/report.txt") == REPORT[-3:]
        wire.ask(f"REST {len(REPORT)}")
        assert wire.fetch("RETR /out/report.txt") == b""
        assert wire.fetch("RETR /out/report.txt") == REPORT, "REST is for one transfer"
    assert house.tree.happened("landed") == []


def test_announced_length_is_held_against_what_came(house: House) -> None:
    """ALLO says how long the file is: less, or more, is not whole; a quota is asked before a byte is sent."""
    with house.login() as wire:
        assert wire.ask("ALLO 10")[0] == 200
        assert wire.store("STOR /in/file", b"only 9 by")[0] == 554
        assert house.tree.content("/in/file") is None
        wire.ask("ALLO 10")
        assert wire.store("STOR /in/file", b"just as it")[0] == 226
        house.tree.quota = 5
        wire.ask("ALLO 6")
        wire.passive()
        assert wire.ask("STOR /in/file")[0] == 552
        for line in ("ALLO", "ALLO -1", "ALLO x"):
            assert wire.ask(line)[0] == 501


def test_quota_that_ends_in_the_middle_is_told_before_the_connection_goes(house: House) -> None:
    """552 comes while the client still sends; the rest is read and thrown away."""
    house.tree.quota = 300_000
    with house.login() as wire:
        data = wire.connect(tls_after="STOR /in/file")
        data.sendall(MEGABYTE * 2)
        data.unwrap().close()
        assert wire.answer()[0] == 552
        assert wire.ask("NOOP")[0] == 200
    assert house.tree.happened("aborted")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LockedError("somebody else is writing it"), 450),
        (RejectedError("not by the rules"), 550),
        (UnavailableError("the store does not answer"), 451),
        (ElsewhereError("it is at ftps://eu", authorities={}), 550),
        (RuntimeError("/secret"), 451),
    ],
)
def test_commit_that_fails_is_answered(house: House, error: Exception, code: int) -> None:
    """Whatever `commit` raises, there is one reply, it is no success, and the session goes on."""

    def fail(operation: str, path: object) -> None:
        if operation == "commit":
            raise error

    house.tree.before = fail
    with house.login() as wire:
        answer = wire.store("STOR /in/file", b"content")
        assert answer[0] == code
        assert "secret" not in answer[1]
        assert wire.ask("NOOP")[0] == 200
    assert house.tree.content("/in/file") is None
    assert house.tree.happened("aborted")


def test_download_that_fails_in_the_middle_is_no_whole_file(house: House) -> None:
    """The data connection is reset and the reply says 451: what came cannot be taken for all."""
    house.tree.add("/out/large.bin", MEGABYTE * 4)
    reads = []

    def fail(operation: str, path: object) -> None:
        reads.append(operation)
        if reads.count("read") > 2:
            raise UnavailableError("the store does not answer")

    house.tree.before = fail
    with house.login() as wire:
        data = wire.connect(tls_after="RETR /out/large.bin")
        with pytest.raises(OSError):
            wire.to_the_end(data)
        assert wire.answer()[0] == 451


def test_download_of_what_is_at_hand(house: House) -> None:
    """Bytes that nobody has to be waited for are sent from where they lie, before that memory is used again."""
    content = hashlib.shake_256(b"seed").digest(3_000_001)
    house.tree.add("/out/large.bin", content)
    house.tree.at_once = 2_000_000
    with house.login() as wire:
        assert wire.fetch("RETR /out/large.bin") == content
        wire.ask("REST 1234567")
        assert wire.fetch("RETR /out/large.bin") == content[1_234_567:]


def test_abor_ends_a_transfer(house: House) -> None:
    """426 for the transfer and 226 for ABOR, with or without Telnet's words before it; then the next one works."""
    for abort in (b"ABOR\r\n", b"\xff\xf4\xff\xf2ABOR\r\n"):
        with house.login() as wire:
            data = wire.begin("STOR /in/file", b"some")
            wire.send(abort)
            assert wire.answer()[0] == 426
            assert wire.answer()[0] == 226
            data.close()
            assert wire.fetch("RETR /out/report.txt") == REPORT
            assert wire.ask("ABOR")[0] == 226
    assert house.tree.content("/in/file") is None


def test_commands_during_a_transfer_wait_and_stat_does_not(house: House) -> None:
    """A second transfer begins after the first; STAT is answered at once."""
    with house.login() as wire:
        data = wire.begin("STOR /in/file", b"some")
        assert wire.ask("STAT")[0] == 211
        wire.send(b"STOR /in/other\r\nNOOP\r\n")
        data.unwrap().close()
        assert wire.answer()[0] == 226
        assert wire.answer()[0] == 425
        assert wire.answer()[0] == 200
    assert house.tree.content("/in/file") == b"some"


def test_stalled_upload_is_kept_and_told(certificate: tuple[Path, Path]) -> None:
    """A client that sends nothing more gets 426; what came is kept."""
    with running(certificate, FtpSettings(stall_timeout=0.2)) as house, house.login() as wire:
        data = wire.begin("STOR /in/file", b"some")
        assert wire.answer()[0] == 426
        data.close()
        assert house.tree.received("alice", "/in/file") == b"some"


def test_revocation_ends_a_running_upload(house: House) -> None:
    """The session says 421 at once, in the middle of a transfer; the partial is kept."""
    with house.login() as wire:
        wire.begin("STOR /in/file", b"some")
        until(lambda: "alice" in {each.login for each in house.accounts.opened})
        house.accounts.revoke("alice")
        assert wire.answer() == (421, "421 access withdrawn: case closed")
    until(lambda: house.tree.happened("aborted"))
    until(lambda: ("alice", "case closed") in house.tree.happened("closed"))


def test_drain_lets_a_transfer_end(house: House) -> None:
    """An idle session is sent away with 421 at once; one with an upload ends after its 226."""
    with house.login() as idle, house.login("bob") as busy:
        data = busy.begin("STOR /in/file", b"some")
        draining = threading.Thread(target=house.server.drain, args=(20.0,))
        draining.start()
        assert idle.answer()[0] == 421
        data.sendall(b" more")
        data.unwrap().close()
        assert busy.answer()[0] == 226
        assert busy.answer()[0] == 421
        draining.join(20)
        assert not draining.is_alive()
    house.server.drain = lambda grace: None  # type: ignore[method-assign]


def test_text_type_is_for_listings(house: House) -> None:
    """An upload in TYPE A would be changed on the way: it is refused, with what to do."""
    with house.login() as wire:
        assert wire.ask("TYPE A")[0] == 200
        wire.passive()
        code, text = wire.ask("STOR /in/file")
        assert code == 550
        assert "TYPE I" in text
        assert wire.fetch("NLST /") == b"in\r\nout\r\n"
        assert wire.ask("TYPE E")[0] == 504
        assert wire.ask("MODE Z")[0] == 504
        assert wire.ask("STRU R")[0] == 504
        assert wire.ask("TYPE I")[0] == 200


def test_stou_makes_a_name_and_tells_it(house: House) -> None:
    """150 says the name (RFC 1123, section 4.1.2.9)."""
    with house.login() as wire:
        wire.ask("CWD /in")
        data = socket.create_connection(("127.0.0.1", wire.passive()), timeout=20)
        code, text = wire.ask("STOU")
        assert code == 150
        name = re.fullmatch(r"150 FILE: (\S+)", text)[1]
        tls = wire.context.wrap_socket(data)
        tls.sendall(b"unique")
        tls.unwrap().close()
        assert wire.answer()[0] == 226
    assert house.tree.content(f"/in/{name}") == b"unique"


# -- names, facts, digests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "is_directory", "writable", "letters"),
    [
        (Changes(rename=True, remove_directories=True), False, True, "afrw"),
        (Changes(rename=True, remove_directories=True), True, True, "cdeflm"),
        (Changes(rename=True, remove_files=True, remove_directories=True), False, True, "adfrw"),
        (Changes(rename=True, remove_files=True, remove_directories=True), True, True, "cdeflmp"),
        (Changes(rename=True, remove_files=True, remove_directories=True), False, False, "r"),
        (Changes(), True, True, "celm"),
        (Changes(), True, False, "el"),
        (Changes(), False, True, "arw"),
    ],
)
def test_fact_of_permissions_names_what_is_not_refused(
    changes: Changes, is_directory: bool, writable: bool, letters: str
) -> None:
    """DELE, RNFR, RMD, STOR, MKD and their like, each with its letter (RFC 3659, section 7.5.5)."""
    row = ("name", is_directory, 7, 0.0, writable)
    assert fact_row(row, frozenset({"perm"}), changes) == f"perm={letters}; name"


def test_listings_and_facts(house: House) -> None:
    """LIST, NLST, MLSD, MLST and STAT say the same of a file; what is missing is 550 in each."""
    with house.login() as wire:
        assert re.fullmatch(
            rb"-r--r----- +1 support  support +7000 Nov 14  2023 report.txt\r\n", wire.fetch("LIST -la /out")
        )
        assert wire.fetch("LIST /out/report.txt").endswith(b"/out/report.txt\r\n".rpartition(b"/")[2])
        assert wire.fetch("MLSD /out") == b"type=file;size=7000;modify=20231114221320;perm=r; report.txt\r\n"
        assert (
            "type=file;size=7000;modify=20231114221320;perm=r; /out/report.txt" in wire.ask("MLST /out/report.txt")[1]
        )
        assert wire.ask("AVBL /in") == (213, f"213 {1 << 30}")
        assert wire.ask("AVBL")[0] == 213
        for path in ("/none", "/out/report.txt"):
            assert wire.ask(f"AVBL {path}")[0] == 550
        assert "AVBL" in wire.ask("FEAT")[1]
        assert wire.ask("OPTS MLST size;unheard;")[1] == "200 MLST OPTS size;"
        assert wire.fetch("MLSD /out") == b"size=7000; report.txt\r\n"
        assert "size*" in wire.ask("FEAT")[1]
        assert wire.ask("MDTM /out/report.txt")[1] == "213 20231114221320"
        assert "report.txt" in wire.ask("STAT /out")[1]
        for line in ("LIST /none", "NLST /none", "MLSD /none", "MLST /none", "STAT /none", "SIZE /none", "CWD /none",
                     "RETR /none", "MDTM /none", "DELE /in/none", "RMD /none", "RNFR /none", "HASH /none",
                     "CWD /out/report.txt", "SIZE /out", "HASH /out"):  # fmt: skip
            wire.passive()
            assert wire.ask(line)[0] == 550, line
        wire.passive()
        assert wire.ask("MLSD /out/report.txt")[0] == 501


def test_working_directory_and_renames(house: House) -> None:
    """Relative paths, quotation marks, RNTO only after RNFR, DELE and RMD."""
    with house.login() as wire:
        assert wire.ask('MKD /in/a "b"') == (257, '257 "/in/a ""b""" is there')
        assert wire.ask('CWD in/a "b"')[0] == 250
        assert wire.ask("PWD")[1].startswith('257 "/in/a ""b""" ')
        assert wire.ask("CDUP")[0] == 250
        assert wire.store("STOR x y", b"content")[0] == 226
        assert wire.ask("RNTO z")[0] == 503
        assert wire.ask("RNFR x y")[0] == 350
        assert wire.ask("NOOP")[0] == 200
        assert wire.ask("RNTO z")[0] == 503
        wire.ask("RNFR x y")
        assert wire.ask("RNTO z")[0] == 250
        assert wire.ask("DELE z")[0] == 250
        assert wire.ask('RMD a "b"')[0] == 250
        assert wire.ask("CWD ../../..")[0] == 250
        assert wire.ask("PWD")[1].startswith('257 "/" ')


def test_what_keeps_its_name_is_not_even_offered_another(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """RNFR is refused where the facts have no `f`, so that nobody waits for a RNTO that cannot be."""
    told = Changes(rename=True)
    monkeypatch.setattr(MemoryFileSystem, "changes", lambda _self, _path: told, raising=False)
    with house.login() as wire:
        wire.store("STOR /in/file", b"content")
        assert wire.ask("RNFR /in/file")[0] == 350
        assert wire.ask("RNFR /out/report.txt")[0] == 550
        told = Changes()
        assert wire.ask("RNFR /in/file")[0] == 550
        assert wire.ask("RNTO /in/other")[0] == 503


def test_digest_and_times(house: House) -> None:
    """HASH and XSHA256 tell the SHA-256; MFMT keeps the client's time."""
    expected = hashlib.sha256(REPORT).hexdigest()
    with house.login() as wire:
        assert wire.ask("HASH /out/report.txt")[1] == f"213 SHA-256 0-7000 {expected} report.txt"
        assert wire.ask('XSHA256 "/out/report.txt"')[1] == f"250 {expected.upper()}"
        assert wire.ask("OPTS HASH MD5")[0] == 504
        wire.store("STOR /in/file", b"content")
        assert wire.ask("MFMT 20200102030405 /in/file")[1] == "213 Modify=20200102030405; /in/file"
        assert wire.ask("MDTM /in/file")[1] == "213 20200102030405"
        for line in ("MFMT 2020 /in/file", "MFMT 20201302030405 /in/file", "MFMT x"):
            assert wire.ask(line)[0] == 501


@pytest.mark.parametrize(
    "name",
    [b"nul\0l", b"\xfftelnet", b"bad\xc3\x28utf", b"back\\slash", b"esc\x1b[31m", b"a" * 300, b"\xe2\x80\xaebidi"],
)
def test_names_that_are_none(house: House, name: bytes) -> None:
    """553 with the reason, in the middle of a session that goes on."""
    with house.login() as wire:
        assert wire.ask(b"MKD /in/" + name)[0] == 553
        assert wire.ask("NOOP")[0] == 200
    assert house.tree.directories == {(), ("in",), ("out",)}


def test_long_line_is_one_answer(house: House) -> None:
    """A line that is no command is dropped to its end, however long it is."""
    with house.login() as wire:
        wire.send(b"STOR " + b"x" * 1_000_000 + b"\r\nNOOP\r\n")
        assert wire.answer()[0] == 500
        assert wire.answer()[0] == 200


def test_ten_thousand_commands_at_once(house: House) -> None:
    """Each has its answer, in order, and nothing piles up."""
    with house.login() as wire:
        wire.send(b"NOOP\r\n" * 10_000 + b"SYST\r\n")  # two threads must not share a TLS connection
        assert [wire.answer()[0] for _ in range(10_001)] == [200] * 10_000 + [215]


def test_unknown_and_odd_commands(house: House) -> None:
    """Each gets an answer; none of them does harm."""
    with house.login() as wire:
        for line, code in {
            "": 500, " ": 500, "FOO": 500, "SITE CHMOD 777 x": 504, "SITE EXEC /bin/sh": 504, "REIN": 502,
            "ACCT x": 502, "CLNT lftp": 200,
            "OPTS UTF8 ON": 200, "opts utf8 on": 200, "OPTS": 501, "HELP": 214, "STAT": 211,
            "USER bob": 503, "AUTH TLS": 503, "STOR": 501, "MKD": 501, "PBSZ x": 501, "PROT X": 504, "PROT S": 536,
        }.items():  # fmt: skip
            assert wire.ask(line)[0] == code, line
        assert wire.ask("QUIT")[0] == 221
        with pytest.raises((EOFError, ConnectionError)):
            wire.answer()


def test_what_is_done_is_counted(house: House) -> None:
    """Connections, logins, replies and bytes reach who counts them; words that clients make up do not."""
    with house.login() as wire:
        wire.store("STOR /in/file", b"content")
        wire.fetch("RETR /in/file")
        wire.ask("INVENTED")
    until(lambda: ("disconnected", "eu") in house.counted)
    assert ("connected", "eu") in house.counted
    assert ("authenticated", "accepted") in house.counted
    assert ("in", 7) in house.counted
    assert ("out", 7) in house.counted
    assert ("other", 500) in house.counted
    assert not any(each[0] == "INVENTED" for each in house.counted)


def test_implicit_tls_begins_private(certificate: tuple[Path, Path]) -> None:
    """After TLS from the first byte no PROT P is needed, and plain text is no client."""
    with running(certificate, implicit=True) as house:
        with house.wire() as wire:
            wire.ask("USER alice")
            assert wire.ask(f"PASS {PASSWORD}")[0] == 230
            assert wire.fetch("NLST") == b"in\r\nout\r\n"
        with socket.create_connection(("127.0.0.1", house.port), timeout=20) as plain:
            plain.sendall(b"USER alice\r\n")
            with pytest.raises((ConnectionError, AssertionError)):
                assert plain.recv(100).startswith(b"220")
