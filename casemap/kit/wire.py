"""What an endpoint of the lookup contract promises on the wire: signatures, forms of answers, errors, limits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from casemap.exchange import Exchange
from casemap.kit.check import FailedError, LeftOutError, expect, run
from casemap.kit.records import NO_CASE, NOBODY
from casemap.lookup import MAX_LIMIT
from casemap.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, TOLERANCE, sign
from casemap.wire import load_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from casemap.exchange import Answer, ExchangeSettings
    from casemap.kit.check import Check, Samples

SLOW = 1.0
"""An answer that takes longer, in seconds, makes logins slow."""
_PROBLEM = b"application/problem+json"
_SIGNATURE = "verify the signature as docs/integrate.md has it, and refuse with 401"
_CLOCK = f"refuse a timestamp that is more than {TOLERANCE} s off, take one that is less, and set your clock"


def check_endpoint(
    settings: ExchangeSettings, secret: bytes, samples: Samples, *, clock: Callable[[], float] = time.time
) -> Iterator[Check]:
    """Yield a line for each promise on the wire; *clock* gives Unix seconds."""
    exchange = Exchange(settings)
    looks = _Looks(exchange, secret, samples, clock)
    try:
        for name, advice, look in (
            ("signature: a right one is taken", _SIGNATURE, looks.signed),
            ("signature: a request without one is refused", _SIGNATURE, looks.unsigned),
            ("signature: one by another secret is refused", _SIGNATURE, looks.other_secret),
            ("signature: one for another path is refused", _SIGNATURE, looks.other_path),
            ("signature: one for another query is refused", _SIGNATURE, looks.other_query),
            ("signature: one right of two is enough", "try each of the signatures in the header", looks.two),
            ("clock: four minutes off are taken", _CLOCK, looks.within),
            ("clock: six minutes behind are refused", _CLOCK, looks.behind),
            ("clock: six minutes ahead are refused", _CLOCK, looks.ahead),
            ("clock: a timestamp that is no number is refused", _CLOCK, looks.no_number),
            ("answer: says that it is JSON", "send Content-Type: application/json", looks.json),
            ("answer: is not compressed", "honour Accept-Encoding: identity", looks.identity),
            ("answer: comes in time", f"answer within {SLOW:g} s: every login waits for it", looks.quick),
            ("error: not found is a problem document", _NOT_FOUND, looks.problem),
            ("error: what is percent-encoded is one name", _ENCODED, looks.encoded),
            ("error: a cursor that is none is a problem document", _CURSOR, looks.cursor),
            ("page: a limit of 1 is honoured", "give at most limit items", looks.limit_of_one),
            (f"page: a limit of {MAX_LIMIT} is taken", f"take limits up to {MAX_LIMIT}", looks.limit_of_most),
        ):
            yield run(name, advice, look)
    finally:
        exchange.close()


_NOT_FOUND = "answer 404, Content-Type: application/problem+json, with the member code: not_found (RFC 9457)"
_ENCODED = "decode each path segment once, after splitting the path; a name with %2F in it is nobody"
_CURSOR = "answer 400, Content-Type: application/problem+json, with the member code: invalid_cursor"


class _Looks:
    def __init__(self, exchange: Exchange, secret: bytes, samples: Samples, clock: Callable[[], float]) -> None:
        self._exchange = exchange
        self._secret = secret
        self._clock = clock
        self._path = (
            "/v1/customers" if samples.customer is None else f"/v1/customers/{quote(samples.customer, safe='')}"
        )

    # -- signatures ------------------------------------------------------------------------------------------------

    def signed(self) -> str:
        answer = self._ask(self._path)
        expect(answer.status == 200, f"{self._path} is answered with {answer.status}")
        return f"{self._path}: 200"

    def unsigned(self) -> None:
        self._refused(self._exchange.get(self._target(self._path), {"Accept": "application/json"}))

    def other_secret(self) -> None:
        self._refused(self._ask(self._path, secret=self._secret[::-1] + b"."))

    def other_path(self) -> None:
        self._refused(self._ask(self._path, signed=self._target("/v1/cases")))

    def other_query(self) -> None:
        self._refused(self._ask("/v1/customers?limit=1", signed=self._target("/v1/customers?limit=2")))

    def two(self) -> None:
        answer = self._ask(self._path, before="v1=" + "0" * 64 + " ")
        expect(answer.status == 200, f"it is answered with {answer.status}")

    def within(self) -> None:
        for offset in (-240, 240):
            answer = self._ask(self._path, offset=offset)
            expect(answer.status == 200, f"{offset:+} s is answered with {answer.status}")

    def behind(self) -> None:
        self._refused(self._ask(self._path, offset=-360))

    def ahead(self) -> None:
        self._refused(self._ask(self._path, offset=360))

    def no_number(self) -> None:
        headers = self._headers(self._target(self._path))
        self._refused(self._exchange.get(self._target(self._path), {**headers, TIMESTAMP_HEADER: "now"}))

    # -- answers ---------------------------------------------------------------------------------------------------

    def json(self) -> None:
        answer = self._good(self._path)
        kind = answer.headers.get(b"content-type", b"").decode("latin-1")
        expect(kind.split(";")[0].strip().lower() == "application/json", f"Content-Type is {kind or 'missing'!s:.60}")
        expect(isinstance(load_answer(answer.body), dict), "the answer is no JSON object")

    def identity(self) -> None:
        self._good(self._path)  # what is compressed is refused by whoever reads it

    def quick(self) -> str:
        began = time.monotonic()
        self._good(self._path)
        took = time.monotonic() - began
        expect(took <= SLOW, f"it took {took:.1f} s")
        return f"{took * 1000:.0f} ms"

    def problem(self) -> None:
        for path in (f"/v1/principals/{NOBODY}", f"/v1/cases/{NO_CASE}"):
            self._is_problem(self._ask(path), path, 404, "not_found")

    def encoded(self) -> None:
        path = "/v1/principals/" + quote("no/body?x#9b1f", safe="")
        self._is_problem(self._ask(path), path, 404, "not_found")

    def cursor(self) -> None:
        path = "/v1/customers?" + urlencode({"cursor": "no-place!9b1f", "limit": 2})
        self._is_problem(self._ask(path), path, 400, "invalid_cursor")

    def limit_of_one(self) -> None:
        page = self._page("/v1/cases?limit=1")
        expect(len(page) <= 1, f"{len(page)} items come")
        if not page:
            raise LeftOutError("there is no case")

    def limit_of_most(self) -> str:
        page = self._page(f"/v1/cases?limit={MAX_LIMIT}")
        expect(len(page) <= MAX_LIMIT, f"{len(page)} items come")
        return f"{len(page)} cases"

    # -- asking ----------------------------------------------------------------------------------------------------

    def _target(self, path: str) -> str:
        return self._exchange.prefix + path

    def _headers(
        self, target: str, *, offset: int = 0, secret: bytes | None = None, before: str = ""
    ) -> dict[str, str]:
        timestamp = int(self._clock()) + offset
        signature = sign(secret or self._secret, timestamp=timestamp, method="GET", target=target)
        return {
            "Accept": "application/json",
            TIMESTAMP_HEADER: str(timestamp),
            SIGNATURE_HEADER: before + signature,
        }

    def _ask(
        self,
        path: str,
        *,
        signed: str | None = None,
        offset: int = 0,
        secret: bytes | None = None,
        before: str = "",
    ) -> Answer:
        target = self._target(path)
        headers = self._headers(signed or target, offset=offset, secret=secret, before=before)
        return self._exchange.get(target, headers)

    def _good(self, path: str) -> Answer:
        answer = self._ask(path)
        expect(answer.status == 200, f"{path} is answered with {answer.status}")
        return answer

    def _page(self, path: str) -> list[object]:
        document = load_answer(self._good(path).body)
        items = document.get("items") if isinstance(document, dict) else None
        if not isinstance(items, list):
            raise FailedError("the answer has no list of items")
        return items

    def _refused(self, answer: Answer) -> None:
        expect(answer.status in {401, 403}, f"it is answered with {answer.status}")

    def _is_problem(self, answer: Answer, path: str, status: int, code: str) -> None:
        kind = answer.headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        expect(answer.status == status, f"{path} is answered with {answer.status}")
        expect(kind == _PROBLEM, f"Content-Type is {kind.decode('latin-1') or 'missing'!s:.60}")
        document = load_answer(answer.body)
        found = document.get("code") if isinstance(document, dict) else None
        expect(found == code, f"its code is {found!r:.60}")
