"""How we show a case system who we are: a password, a token, or tokens fetched by OAuth 2 client credentials."""

from __future__ import annotations

import base64
import copy
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlencode, urlsplit

from casemap.errors import LookupSettingsError, LookupUnavailableError
from casemap.exchange import Exchange, nonsense, unavailable
from casemap.wire import load_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemap.exchange import ExchangeSettings

MAX_TOKEN = 16_384
UNSAID_LIFETIME = 600.0
"""How long a token is used that does not say how long it lives, in seconds."""
_LEEWAY = 30.0
_FAILURE_HOLDS = 1.0


class Credentials(Protocol):
    """What goes into the headers of each request."""

    def headers(self) -> dict[str, str]:
        """Return the headers.

        Raises:
            LookupUnavailableError: they cannot be had now.
        """

    def refused(self, headers: dict[str, str]) -> bool:
        """Say whether it makes sense to ask for other headers, because those given were refused (401)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """Who we are to the case system."""

    type: str = "none"
    """none, basic, bearer or oauth2."""
    user: str | None = None
    """basic: the user; oauth2: the client's id."""
    secret: str | None = field(default=None, repr=False)
    """basic: the password; bearer: the token; oauth2: the client's secret."""
    token_url: str | None = None
    """oauth2: where tokens are given out."""
    scope: str | None = None
    in_header: bool = False
    """oauth2: the client shows itself by HTTP Basic and not in the body (RFC 6749, section 2.3.1)."""


class FixedCredentials:
    """The same headers every time."""

    def __init__(self, headers: dict[str, str]) -> None:
        """Give *headers*."""
        self._headers = headers

    def headers(self) -> dict[str, str]:
        """Return them."""
        return dict(self._headers)

    def refused(self, headers: dict[str, str]) -> bool:  # noqa: ARG002  there are no others
        """Say no."""
        return False


class ClientCredentials:
    """Tokens by the client credentials grant (RFC 6749, section 4.4), each used until shortly before its end."""

    def __init__(
        self, settings: AuthSettings, exchange: Exchange, target: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Fetch tokens from *target* over *exchange*; *clock* is monotonic, in seconds."""
        self._settings = settings
        self._exchange = exchange
        self._target = target
        self._clock = clock
        self._lock = threading.Lock()
        self._token: str | None = None
        self._until = 0.0
        self._failure: tuple[float, LookupUnavailableError] | None = None

    def headers(self) -> dict[str, str]:
        """Return the header with a token that is good; one thread fetches it, others wait for that."""
        with self._lock:
            if self._token is None or self._clock() >= self._until:
                self._fetch_or_fail()
            return {"Authorization": f"Bearer {self._token}"}

    def refused(self, headers: dict[str, str]) -> bool:
        """Forget the token that was refused, if nobody has done so before."""
        with self._lock:
            if headers.get("Authorization") == f"Bearer {self._token}":
                self._token = None
        return True

    def _fetch_or_fail(self) -> None:
        # Who waited behind a failure shares it: each with a time-out of its own would hold them all for minutes.
        if self._failure is not None and self._clock() - self._failure[0] < _FAILURE_HOLDS:
            raise copy.copy(self._failure[1])
        try:
            self._fetch()
        except LookupUnavailableError as error:
            self._failure = self._clock(), copy.copy(error)
            raise
        self._failure = None

    def _fetch(self) -> None:
        settings, form = self._settings, {"grant_type": "client_credentials"}
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        user, secret = settings.user or "", settings.secret or ""
        if settings.in_header:
            headers["Authorization"] = _basic(quote(user, safe=""), quote(secret, safe=""))
        else:
            form |= {"client_id": user, "client_secret": secret}
        if settings.scope is not None:
            form["scope"] = settings.scope
        asked = self._clock()
        answer = self._exchange.post(self._target, headers, urlencode(form).encode())
        if answer.status in {400, 401, 403}:
            raise LookupUnavailableError(
                f"the token endpoint refuses our client ({answer.status}); check lookup.auth and its secret"
            )
        if answer.status != 200 or not answer.is_json:
            raise unavailable(answer) or nonsense(answer)
        told = load_answer(answer.body)
        token = told.get("access_token") if isinstance(told, dict) else None
        if not isinstance(token, str) or not 0 < len(token) <= MAX_TOKEN or not _is_visible(token):
            raise LookupUnavailableError("the token endpoint gives no token")
        lifetime = told.get("expires_in") if isinstance(told, dict) else None
        if isinstance(lifetime, str) and lifetime.isascii() and lifetime.isdigit():  # some quote it
            lifetime = int(lifetime[:12])
        if isinstance(lifetime, bool) or not isinstance(lifetime, (int, float)) or lifetime <= 0:
            lifetime = UNSAID_LIFETIME
        self._token = token
        self._until = asked + max(lifetime - _LEEWAY, lifetime / 2)


def make_credentials(
    settings: AuthSettings, exchange: ExchangeSettings, connect: Callable[[ExchangeSettings], Exchange]
) -> tuple[Credentials, Exchange | None]:
    """Return the credentials, and the exchange with the token endpoint if there is one; *connect* makes that.

    Raises:
        LookupSettingsError: something that they need is not given, or cannot be.
    """
    for name, value in (("user", settings.user), ("secret", settings.secret)):
        if value is not None and not value.isprintable():
            raise LookupSettingsError(f"lookup.auth.{name}: holds a control character")
    match settings.type:
        case "none":
            return FixedCredentials({}), None
        case "basic":
            user, secret = _needed(settings.user, "lookup.auth.user"), _needed(settings.secret, "lookup.secret_file")
            if ":" in user:
                raise LookupSettingsError("lookup.auth.user: must not hold a colon (RFC 7617)")
            return FixedCredentials({"Authorization": _basic(user, secret)}), None
        case "bearer":
            token = _needed(settings.secret, "lookup.secret_file")
            if not _is_visible(token):
                raise LookupSettingsError("lookup.secret_file: a bearer token is visible ASCII")
            return FixedCredentials({"Authorization": f"Bearer {token}"}), None
        case "oauth2":
            _needed(settings.user, "lookup.auth.user")
            _needed(settings.secret, "lookup.secret_file")
            url = _needed(settings.token_url, "lookup.auth.token_url")
            try:
                there = connect(replace(exchange, url=url))
            except ValueError as error:
                raise LookupSettingsError(f"lookup.auth.token_url: {error}") from error
            return ClientCredentials(settings, there, quote(urlsplit(url).path or "/", safe="/%")), there
        case _:
            raise LookupSettingsError(f"lookup.auth.type: there is no {settings.type!r}")


def _needed(value: str | None, where: str) -> str:
    if not value:
        raise LookupSettingsError(f"{where}: must be given")
    return value


def _basic(user: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


def _is_visible(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
