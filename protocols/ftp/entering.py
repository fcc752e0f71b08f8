"""Commands about the connection itself: TLS, the login, what there is, and the end."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from protocols.errors import (
    AuthenticationError,
    EndedTokenError,
    ThrottledError,
    WrongEntranceError,
)
from protocols.ftp.listing import FACTS
from protocols.ftp.reply import Reply
from protocols.ftp.status import ReplyError
from protocols.session import PasswordCredential

if TYPE_CHECKING:
    from protocols.ftp.visit import Visit
    from protocols.session import Grant

_REFUSED = "the login or its secret was not accepted"
"""All that anybody learns about a credential that is no good."""
_MAX_LOGIN = 255
_CLEAR = "nothing is taken in clear here, least of all a password: send AUTH TLS first"


def auth(visit: Visit, argument: str) -> Reply:
    """AUTH: begin TLS on the control connection (RFC 4217, section 4)."""
    if visit.control.is_secure:
        raise ReplyError(503, "TLS is there already")
    if argument.strip().upper() not in {"TLS", "TLS-C", "SSL", "TLS-P"}:
        raise ReplyError(504, "send AUTH TLS")
    visit.control.reply("AUTH", 234, "begin the TLS handshake")
    visit.answered = True
    visit.control.secure(visit.entrance.tls)
    return Reply(code=234, text="")


def pbsz(visit: Visit, argument: str) -> Reply:
    """PBSZ: TLS has no buffer to agree on (RFC 4217, section 8)."""
    _need_tls(visit)
    if not argument.strip().isdigit():
        raise ReplyError(501, "send PBSZ 0")
    return Reply(code=200, text="PBSZ=0")


def prot(visit: Visit, argument: str) -> Reply:
    """PROT: data connections have TLS, or there are none (RFC 4217, section 9)."""
    _need_tls(visit)
    level = argument.strip().upper()
    if level == "P":
        visit.private = True
        return Reply(code=200, text="data connections are private")
    if level in {"C", "S", "E"}:
        raise ReplyError(536 if level in {"S", "E"} else 534, "data go over TLS alone here: send PROT P")
    raise ReplyError(504, "send PROT P")


def ccc(_visit: Visit, _argument: str) -> Reply:
    """CCC: the control connection stays as it is."""
    raise ReplyError(534, "the control connection keeps its TLS")


def user(visit: Visit, argument: str) -> Reply:
    """USER: take the login; whether it is known shows after PASS alone, if at all."""
    if not visit.control.is_secure:
        raise ReplyError(530, _CLEAR)
    if visit.session is not None:
        raise ReplyError(503, "this connection is logged in; open another for another login")
    visit.login = argument
    return Reply(code=331, text="send the password, or a token in its place, by PASS")


def password(visit: Visit, argument: str) -> Reply:
    """PASS: have login and password looked at, and open the session."""
    if not visit.control.is_secure:
        raise ReplyError(530, _CLEAR)
    if visit.session is not None:
        raise ReplyError(503, "this connection is logged in")
    login, visit.login = visit.login, None
    if login is None:
        raise ReplyError(503, "send USER first")
    visit.attempts += 1
    session = visit.authenticator.open(_check(visit, login, argument), visit.origin)
    visit.enter(session)
    session.when_revoked(lambda reason: visit.stop(f"access withdrawn: {reason}"))
    return Reply(code=230, text=f"logged in, session {session.id}")


def _check(visit: Visit, login: str, secret: str) -> Grant:
    """Return the grant of a credential that is good; whatever is wrong with it looks the same."""
    readable = 0 < len(login) <= _MAX_LOGIN and not any(unicodedata.category(each)[0] == "C" for each in login)
    if not readable or not secret or any(unicodedata.category(each) in {"Cc", "Cs"} for each in secret):
        visit.observer.authenticated("refused")
        raise _refused(visit)
    try:
        grant = visit.authenticator.check(PasswordCredential(login=login, password=secret), visit.origin)
    except ThrottledError as error:
        visit.observer.authenticated("throttled")
        visit.over = str(error)
        raise ReplyError(421, f"{error}; try again in {max(1, round(error.retry_after))} seconds") from error
    except (EndedTokenError, WrongEntranceError) as error:
        visit.observer.authenticated("refused")
        raise ReplyError(530, str(error)) from error
    except AuthenticationError as error:
        visit.observer.authenticated("refused")
        raise _refused(visit) from error
    except Exception:
        visit.observer.authenticated("unavailable")
        raise
    visit.observer.authenticated("accepted")
    return grant


def _refused(visit: Visit) -> ReplyError:
    if visit.attempts >= visit.settings.max_attempts:
        visit.over = "too many passwords were tried"
    return ReplyError(530, _REFUSED)


def refuse_session(error: AuthenticationError) -> ReplyError:
    """Return the answer where a session could not be opened, after the password was good."""
    return ReplyError(530, str(error) if isinstance(error, WrongEntranceError) else _REFUSED)


def quit_(visit: Visit, _argument: str) -> Reply:
    """QUIT: the end, on the client's word."""
    visit.over = "the client left"
    return Reply(code=221, text="goodbye")


def feat(visit: Visit, _argument: str) -> Reply:
    """FEAT: what there is besides RFC 959 (RFC 2389)."""
    facts = "".join(f"{fact}{'*' if fact in visit.facts else ''};" for fact in FACTS)
    lines = (
        "AUTH TLS", "AVBL", "CLNT", "EPRT", "EPSV", "HASH SHA-256*", "MDTM", "MFMT", f"MLST {facts}", "PBSZ", "PROT",
        "REST STREAM", "SIZE", "TVFS", "UTF8", "XSHA256",
    )  # fmt: skip
    return Reply(code=211, text="Features:", lines=lines if visit.settings.active else without(lines, "EPRT"))


def without(lines: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return *lines* but for *name*."""
    return tuple(line for line in lines if line != name)


def opts(visit: Visit, argument: str) -> Reply:
    """OPTS: names are UTF-8, digests SHA-256, and facts are chosen (RFC 3659, section 7.9)."""
    what, _, rest = argument.partition(" ")
    match what.upper():
        case "UTF8" | "UTF-8":
            if rest.strip().upper() not in {"", "ON", "NLST"}:
                raise ReplyError(504, "names are UTF-8 here")
            return Reply(code=200, text="names are UTF-8")
        case "MLST":
            wanted = {fact.strip().lower() for fact in rest.split(";")}
            visit.facts = frozenset(fact for fact in FACTS if fact in wanted)
            chosen = "".join(f"{fact};" for fact in FACTS if fact in visit.facts)
            return Reply(code=200, text=f"MLST OPTS {chosen}".rstrip())
        case "HASH":
            if rest.strip().upper() not in {"", "SHA-256"}:
                raise ReplyError(504, "digests are SHA-256 here")
            return Reply(code=200, text="SHA-256")
        case _:
            pass
    raise ReplyError(501, "UTF8, MLST and HASH have options")


def syst(_visit: Visit, _argument: str) -> Reply:
    """SYST: listings are as Unix has them."""
    return Reply(code=215, text="UNIX Type: L8")


def noop(_visit: Visit, _argument: str) -> Reply:
    """NOOP, CLNT: nothing is done."""
    return Reply(code=200, text="OK")


def type_(visit: Visit, argument: str) -> Reply:
    """TYPE: files go as they are; text is for listings."""
    words = argument.upper().split()
    if words in (["A"], ["A", "N"]):
        visit.ascii = True
        return Reply(code=200, text="type is A: for listings; files go as they are")
    if words in (["I"], ["L", "8"]):
        visit.ascii = False
        return Reply(code=200, text="type is I")
    raise ReplyError(504, "send TYPE I")


def mode(_visit: Visit, argument: str) -> Reply:
    """MODE: a stream."""
    if argument.strip().upper() != "S":
        raise ReplyError(504, "send MODE S")
    return Reply(code=200, text="mode is S")


def stru(_visit: Visit, argument: str) -> Reply:
    """STRU: a file."""
    if argument.strip().upper() != "F":
        raise ReplyError(504, "send STRU F")
    return Reply(code=200, text="structure is F")


def site(_visit: Visit, argument: str) -> Reply:
    """SITE: there is nothing of ours; who may do what is not a file's mode."""
    word = argument.partition(" ")[0].upper()
    if word == "CHMOD":
        raise ReplyError(504, "files have no modes here: the case says who may read them")
    if word == "HELP":
        return Reply(code=214, text="there are no SITE commands")
    raise ReplyError(504, "there are no SITE commands")


def rein(_visit: Visit, _argument: str) -> Reply:
    """REIN: a login is for a connection."""
    raise ReplyError(502, "open another connection for another login")


def _need_tls(visit: Visit) -> None:
    if not visit.control.is_secure:
        raise ReplyError(503, "send AUTH TLS first")
