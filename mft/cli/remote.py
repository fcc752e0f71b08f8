"""What `mft put` and `mft get` ask of a command line: the server, whom to trust, who one is, and how much at once."""

from __future__ import annotations

import base64
import os
import ssl
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, unquote, urlsplit

import typer

from mft.cli.secret import OpenSecretError

if TYPE_CHECKING:
    from mft.client.connection import Server

UNREACHABLE, DIFFERENT, REFUSED, INTERRUPTED = 4, 5, 6, 130
"""Exit codes, besides 0, 1 (another failure), 2 (usage) and 3 (held back by --scrub)."""
User = Annotated[
    str | None,
    typer.Option("--user", "-u", metavar="LOGIN", help="Your login, or a case's number; none where a token says it."),
]
SecretFile = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        "--token-file",
        metavar="FILE",
        help="The password or token, FILE's first line. Default: $MFT_PASSWORD or $MFT_TOKEN, or a question.",
    ),
]
CaCert = Annotated[
    Path | None, typer.Option("--cacert", metavar="FILE", help="Trust the certificates in FILE (PEM) and no others.")
]
FingerprintOption = Annotated[
    str | None,
    typer.Option("--fingerprint", metavar="SHA256", help="Trust the one certificate with this SHA-256, and no other."),
]
Proxy = Annotated[
    str | None,
    typer.Option(
        "--proxy", metavar="URL", help="http://HOST:PORT to tunnel through. Default: $HTTPS_PROXY; 'none' for none."
    ),
]
Streams = Annotated[
    int | None,
    typer.Option(
        "--streams", min=1, max=16, help="Connections. Default: 4, and more while that is worth it, up to 16."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but what goes wrong.")]


def server_at(  # noqa: PLR0917 - the commands' options
    url: str,
    user: str | None,
    secret_file: Path | None,
    cacert: Path | None,
    fingerprint: str | None,
    proxy: str | None,
) -> tuple[Server, str]:
    """Return the server of *url*, and the URL's path.

    Raises:
        typer.BadParameter: the URL is none, or carries a secret.
    """
    from mft.client.connection import Server, parse_fingerprint, trust  # noqa: PLC0415  keeps `mft --help` quick

    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError as error:
        raise typer.BadParameter(f"{url} is no address of a server: {error}") from error
    if parts.scheme != "https" or not parts.hostname:
        raise typer.BadParameter(f"{url} is no address of a server: https://HOST/…")
    if parts.username is not None or parts.password is not None:
        raise typer.BadParameter("no secret in an address: everyone can see it; use --user and --password-file")
    if cacert is not None and not cacert.is_file():
        raise typer.BadParameter(f"{cacert} is not there")
    try:
        context = trust(None if cacert is None else str(cacert), pinned=fingerprint is not None)
    except ssl.SSLError as error:
        raise typer.BadParameter(f"{cacert} holds no certificate (PEM)") from error
    server = Server(
        host=parts.hostname,
        port=port,
        authorization=_authorization(user, secret_file),
        context=context,
        fingerprint=None if fingerprint is None else parse_fingerprint(fingerprint),
        proxy=_proxy(parts.hostname, proxy),
    )
    return server, quote(parts.path, safe="/%!$&'()*+,;=:@~") or "/"


def _authorization(user: str | None, file: Path | None) -> str:
    secret = _secret(file, token=user is None)
    if not secret or not secret.isprintable():
        raise typer.BadParameter("the password or token is empty, or no text of one line")
    if user is None:
        if not secret.isascii() or " " in secret:
            raise typer.BadParameter("that is no token; say --user LOGIN with a password")
        return f"Bearer {secret}"
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


def _secret(file: Path | None, *, token: bool) -> str:
    if file is not None:
        mode = file.stat().st_mode
        if stat.S_ISREG(mode) and mode & stat.S_IROTH:
            raise OpenSecretError(f"{file}: everyone can read it; change that (chmod 600)")
        lines = file.read_text(encoding="utf-8").splitlines()
        return lines[0] if lines else ""
    names = ("MFT_TOKEN", "MFT_PASSWORD") if token else ("MFT_PASSWORD", "MFT_TOKEN")
    found = next((os.environ[name] for name in names if os.environ.get(name)), None)
    if found is not None:
        return found
    if not sys.stdin.isatty():
        raise typer.BadParameter("no terminal to ask at; use --password-file, $MFT_PASSWORD or $MFT_TOKEN")
    answer: str = typer.prompt("Token" if token else "Password or token", hide_input=True, err=True)
    return answer


def _proxy(host: str, told: str | None) -> str | None:
    if told is not None:
        return None if told.lower() == "none" else told
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415  keeps `mft --help` quick

    return None if proxy_bypass(host) else getproxies().get("https")


def folder_of(path: str) -> str:
    """Return the folder of the tree that the path of a URL means, as uploads with addresses know it.

    `/files/…` is the tree itself; the others are what they are called there.
    """
    for prefix in ("/files", "/tus", "/dav"):
        if path == prefix or path.startswith(prefix + "/"):
            path = path[len(prefix) :] or "/"
            break
    return unquote(path)


def exit_code(error: BaseException) -> int:
    """Return what the process says of what ended it."""
    from mft.client.errors import ChangedError, MismatchError, RefusedError, UnreachableError  # noqa: PLC0415

    match error:
        case UnreachableError():
            return UNREACHABLE
        case MismatchError() | ChangedError():
            return DIFFERENT
        case RefusedError():
            return REFUSED
        case _:
            return 1
