"""The life of one connection: greeting, commands one by one, and exactly one answer to each, whatever happens."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from protocols.errors import AuthenticationError
from protocols.ftp import entering, files, transfer
from protocols.ftp.control import LineTooLongError
from protocols.ftp.reply import Reply
from protocols.ftp.status import ReplyError, as_reply
from protocols.ftp.wire import ConnectionEndedError, TooSlowError, WokenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocols.ftp.control import Command
    from protocols.ftp.visit import Visit

    Run: TypeAlias = Callable[[Visit, str], Reply]

_log = logging.getLogger("mft.ftps")


@dataclass(frozen=True, slots=True)
class Verb:
    """A command that this head knows."""

    run: Run
    early: bool = False
    """Whether it is good before the login."""


def _help(_visit: Visit, _argument: str) -> Reply:
    """HELP: the commands."""
    return Reply(code=214, text="The commands are:", lines=(" ".join(sorted(VERBS)),))


def _acct(_visit: Visit, _argument: str) -> Reply:
    """ACCT, SMNT: there is no such thing."""
    raise ReplyError(502, "there are no accounts besides the login")


VERBS: dict[str, Verb] = {
    "ABOR": Verb(transfer.abor),
    "ACCT": Verb(_acct, early=True),
    "ALLO": Verb(transfer.allo),
    "APPE": Verb(transfer.appe),
    "AUTH": Verb(entering.auth, early=True),
    "AVBL": Verb(files.avbl),
    "CCC": Verb(entering.ccc, early=True),
    "CDUP": Verb(files.cdup),
    "CLNT": Verb(entering.noop, early=True),
    "CWD": Verb(files.cwd),
    "DELE": Verb(files.dele),
    "EPRT": Verb(transfer.eprt),
    "EPSV": Verb(transfer.epsv),
    "FEAT": Verb(entering.feat, early=True),
    "HASH": Verb(files.digest),
    "HELP": Verb(_help, early=True),
    "LIST": Verb(transfer.list_),
    "MDTM": Verb(files.mdtm),
    "MFMT": Verb(files.mfmt),
    "MKD": Verb(files.mkd),
    "MLSD": Verb(transfer.mlsd),
    "MLST": Verb(files.mlst),
    "MODE": Verb(entering.mode),
    "NLST": Verb(transfer.nlst),
    "NOOP": Verb(entering.noop, early=True),
    "OPTS": Verb(entering.opts, early=True),
    "PASS": Verb(entering.password, early=True),
    "PASV": Verb(transfer.pasv),
    "PBSZ": Verb(entering.pbsz, early=True),
    "PORT": Verb(transfer.port),
    "PROT": Verb(entering.prot, early=True),
    "PWD": Verb(files.pwd),
    "QUIT": Verb(entering.quit_, early=True),
    "REIN": Verb(entering.rein),
    "REST": Verb(transfer.rest),
    "RETR": Verb(transfer.retr),
    "RMD": Verb(files.rmd),
    "RNFR": Verb(files.rnfr),
    "RNTO": Verb(files.rnto),
    "SITE": Verb(entering.site),
    "SIZE": Verb(files.size),
    "STAT": Verb(files.stat),
    "STOR": Verb(transfer.stor),
    "STOU": Verb(transfer.stou),
    "STRU": Verb(entering.stru),
    "SYST": Verb(entering.syst, early=True),
    "TYPE": Verb(entering.type_),
    "USER": Verb(entering.user, early=True),
    "XCUP": Verb(files.cdup),
    "XCWD": Verb(files.cwd),
    "XMKD": Verb(files.mkd),
    "XPWD": Verb(files.pwd),
    "XRMD": Verb(files.rmd),
    "XSHA256": Verb(files.xsha256),
}


def serve(visit: Visit) -> str:
    """Serve *visit* to its end and return the reason of that. Never raises."""
    try:
        reason = _converse(visit)
    except ConnectionEndedError as error:
        reason = str(error)
    except TooSlowError:
        reason = "idle for too long" if visit.session is not None else "it took too long to log in"
        visit.control.goodbye(reason)
    except WokenError:
        reason = visit.must_end or "ended"
        visit.control.goodbye(reason)
    except Exception:  # noqa: BLE001 -- the border of the session: its thread must not end without a reason
        _log.exception("session_failed", extra={"session": _session_id(visit)})
        reason = "internal error"
    return reason


def _converse(visit: Visit) -> str:
    settings = visit.settings
    deadline = time.monotonic() + settings.login_grace
    if visit.entrance.implicit:
        visit.control.secure(visit.entrance.tls)
    visit.control.reply("CONNECT", 220, settings.welcome)
    while visit.over is None:
        visit.busy = False
        if visit.must_end is not None:
            raise WokenError
        patience = settings.idle_timeout if visit.session is not None else deadline - time.monotonic()
        try:
            command = visit.control.next_command(patience)
        except LineTooLongError:
            visit.control.reply("other", 500, "no command is as long as that")
            _count_early(visit)
            continue
        visit.busy = True
        _answer(visit, command)
        _count_early(visit)
    return visit.over


def _count_early(visit: Visit) -> None:
    """Let nobody go on for ever without a login."""
    if visit.session is None:
        visit.early += 1
        if visit.early > visit.settings.max_early_commands:
            raise TooSlowError


def _answer(visit: Visit, command: Command) -> None:
    """Carry out *command* and send its answer.

    Raises:
        ConnectionEndedError, TooSlowError, WokenError: the connection is over.
    """
    name = command.verb if command.verb in VERBS else "other"
    visit.answered = False
    if name != "RNTO":
        visit.renaming = None
    try:
        reply = _carry_out(visit, command)
    except (ConnectionEndedError, TooSlowError, WokenError):
        raise
    except transfer.AbortedError:
        visit.control.reply(name, 426, "the transfer was aborted")
        reply = Reply(code=226, text="aborted")
    except Exception as error:  # noqa: BLE001 -- the border of this head: the unknown is logged here, and not sent
        told = as_reply(error) or (entering.refuse_session(error) if isinstance(error, AuthenticationError) else None)
        if told is None:
            _log.error("command_failed", extra={"session": _session_id(visit), "verb": name}, exc_info=error)
            told = ReplyError(451, f"internal error, session {_session_id(visit)}")
        if name == "PASS" and told.code == 451:
            told = ReplyError(421, told.text)
            visit.over = "logins could not be looked at"
        reply = Reply(code=told.code, text=told.text)
    if not visit.answered:
        visit.control.reply(name, reply.code, reply.text, reply.lines)


def _carry_out(visit: Visit, command: Command) -> Reply:
    verb = VERBS.get(command.verb)
    if verb is None:
        if visit.session is None:
            raise ReplyError(530, "log in with USER and PASS first")
        raise ReplyError(500, "this is no command here; HELP shows those that are")
    if visit.session is None and not verb.early:
        raise ReplyError(530, "log in with USER and PASS first")
    return verb.run(visit, command.argument)


def _session_id(visit: Visit) -> str:
    return visit.session.id if visit.session is not None else "none"
