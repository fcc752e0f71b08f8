"""What becomes of a login, step by step and in words: whom the case system is asked, what it says, what is decided.

It asks as a worker would, without the running server's memory. No secret, hash or key is ever in a line of it.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from casemap.cached import CachedLookup
from casemap.errors import (
    CaseMapError,
    CaseNotFoundError,
    CustomerNotFoundError,
    PrincipalNotFoundError,
)
from casemap.identifier import check_login
from casemap.lookup import MAX_LIMIT
from casemap.model import CaseState
from mft.audit import Folding
from mft.auth.accounts import Accounts
from mft.auth.loginform import parse_login
from mft.auth.principals import entry_fault
from mft.cases import Cases
from mft.lookups import cache_settings, close_adapter, open_adapter
from mft.policy import Part
from protocols.errors import FileSystemError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from casemap.exchange import Exchanged
    from casemap.layout import FolderNode, LayoutSettings
    from casemap.model import Case, CaseGrant, Principal
    from mft.auth.ledger import Ledger
    from mft.casetree import EnteredCase
    from mft.config.model import Config
    from mft.policy import Decision, Reader, ResidencyRules


class Verdict(enum.Enum):
    """What came of it."""

    ENTERS = "enters"
    UNANSWERED = "unanswered"
    """The case system does not answer, or with nonsense."""
    UNKNOWN = "unknown"
    REFUSED = "refused"
    """There is such a login, and it may not come in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happens at a login."""

    name: str
    said: str
    details: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Explanation:
    """The steps so far, and what they come to."""

    steps: list[Step] = field(default_factory=list)
    verdict: Verdict = Verdict.UNANSWERED
    cases: list[dict[str, object]] = field(default_factory=list)
    """The cases that were looked at: number, whether it is there for the login, why, and its folders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a login is explained with."""

    config: Config
    ledger: Ledger
    rules: ResidencyRules
    layout: LayoutSettings
    reader: Callable[[Principal, str | None], Reader]
    """Says of a principal, in a session for one case or (None) for all, what policy needs to know."""


class Explainer:
    """Explains logins."""

    def __init__(self, scene: Scene) -> None:
        """Ask as the configuration has it.

        Raises:
            CaseMapError, ConfigError: the lookup cannot be made.
        """
        self._scene = scene
        self._asked: list[Exchanged] = []
        config, ledger = scene.config, scene.ledger
        self._adapter = open_adapter(config.lookup, ledger.database, observe=self._asked.append)
        self._lookup = CachedLookup(self._adapter, cache_settings(config))
        self._cases = Cases(
            lookup=self._lookup, rules=scene.rules, database=ledger.database, trail=ledger.audit, folding=Folding()
        )

    def close(self) -> None:
        """Close the connections."""
        close_adapter(self._adapter)

    def explain(self, login: str, *, number: str | None, limit: int) -> Explanation:
        """Follow *login* into the server; look at case *number* besides, and at most *limit* of its open cases."""
        made = Explanation()
        made.steps.append(self._source())
        try:
            check_login(login)
        except ValueError as error:
            made.steps.append(Step(name="login", said=f"{login[:80]!r} {error}: nobody has it, nobody is asked"))
            made.verdict = Verdict.UNKNOWN
            return made
        made.steps.append(self._memory())
        try:
            self._follow(made, login, number, limit)
        except CaseMapError as error:
            made.steps += self._requests()
            made.steps.append(Step(name="failed", said=f"{error}", details=(_FAILED_CLOSED,)))
            made.verdict = Verdict.UNANSWERED
        return made

    def _follow(self, made: Explanation, login: str, number: str | None, limit: int) -> None:
        """Read *login* in every way that it can be read, until one is somebody's."""
        made.verdict = Verdict.UNKNOWN
        for claim in parse_login(login):
            if claim.login is None:
                self._case_alone(made, claim.case or "")
                return
            if claim.login != login:
                scope = "" if claim.case is None else f", in case {claim.case} alone"
                made.steps.append(Step(name="login", said=f"read as {claim.login}{scope}"))
            principal = self._principal(made, claim.login)
            if principal is not None:
                self._rights(made, principal, claim.case)
                if claim.case is None and made.verdict is not Verdict.UNANSWERED:
                    self._seen(made, principal, number, limit)
                return

    def _case_alone(self, made: Explanation, number: str) -> None:
        """Explain a case's number in place of a login."""
        made.steps.append(Step(name="login", said=f"read as case {number} itself: for a token of that case alone"))
        try:
            case = self._lookup.case(number)
        except CaseNotFoundError as error:
            made.steps += self._requests()
            made.steps.append(Step(name="case", said=f"{number}: {error}"))
            return
        made.steps += self._requests()
        made.steps.append(Step(name="case", said=f"{number}, {case.state.value}, of {case.customer}"))
        made.verdict = Verdict.ENTERS if case.is_open else Verdict.REFUSED

    def _source(self) -> Step:
        settings = self._scene.config.lookup
        preset = f"the preset {settings.preset}" if settings.preset else "the configuration's own requests"
        said = {
            "registry": "the built-in registry, in the catalog",
            "static": "the table of the configuration",
            "http": f"the lookup contract at {settings.url}, signed with HMAC-SHA256",
            "declarative": f"{settings.url}, by {preset}",
        }[settings.type]
        details = []
        if settings.client_certificate is not None:
            details.append(f"we show the certificate {settings.client_certificate}")
        if settings.type in {"http", "declarative"}:
            details.append(f"{settings.timeout:g} s for each answer; redirects are not followed")
        return Step(name="source", said=said, details=tuple(details))

    def _memory(self) -> Step:
        settings = self._scene.config.lookup
        return Step(
            name="cache",
            said="empty: this command remembers nothing, and does not see what the server remembers",
            details=(
                f"an answer is believed for {settings.ttl:g} s, 'there is none' for {settings.negative_ttl:g} s",
                f"while the case system is silent, {settings.stale_if_error:g} s longer",
                f"after {settings.breaker_failures} failures it is left alone for {settings.breaker_reset:g} s",
            ),
        )

    def _principal(self, made: Explanation, login: str) -> Principal | None:
        local = Accounts(self._scene.ledger).principal(login)
        if local is not None:
            said = "there is a local account of that login: the case system is not asked about it"
            made.steps.append(Step(name="account", said=said))
            made.steps.append(_told(local))
            return local
        made.steps.append(Step(name="account", said="no local account has that login: the case system is asked"))
        try:
            found = self._lookup.principal(login)
        except PrincipalNotFoundError as error:
            made.steps += self._requests()
            made.steps.append(Step(name="answer", said=f"there is no such login ({error})"))
            return None
        made.steps += self._requests()
        made.steps.append(_told(found))
        self._lookup.principal(login)
        remembered = self._lookup.tallies()["principal"]["hits"]
        made.steps.append(Step(name="cache", said=f"asked again: answered from memory {remembered} time"))
        return found

    def _rights(self, made: Explanation, principal: Principal, scope: str | None) -> None:
        """Say whether *principal* may log in, for all that it may see or for the case *scope* alone."""
        fault = entry_fault(principal, dt.datetime.now(dt.UTC))
        ways = [way for way, there in (("password", principal.password_hash), ("key", principal.public_keys)) if there]
        said = f"may log in, by {' or '.join([*ways, 'token'])}" if fault is None else f"may not log in: {fault}"
        made.steps.append(Step(name="login", said=said))
        made.verdict = Verdict.ENTERS if fault is None else Verdict.REFUSED
        if principal.customer is not None:
            try:
                customer = self._lookup.customer(principal.customer)
            except CustomerNotFoundError:
                made.steps.append(Step(name="customer", said=f"{principal.customer} is not known: no case has a home"))
            else:
                home = customer.home_region or "not named: the rules decide"
                made.steps.append(Step(name="customer", said=f"{customer.id} ({customer.name}); home region {home}"))
            made.steps += self._requests()
        if scope is not None:
            self._single(made, principal, self._scene.reader(principal, scope), scope)
            if not any(case["allowed"] for case in made.cases):
                said = "it is refused as a wrong password is: the case is not there for this login"
                made.steps.append(Step(name="login", said=said))
                made.verdict = Verdict.REFUSED

    def _seen(self, made: Explanation, principal: Principal, number: str | None, limit: int) -> None:
        """Say which cases are there for *principal*."""
        reader = self._scene.reader(principal, None)
        if reader.part is Part.STAFF:
            made.steps.append(Step(name="cases", said="the role sees no case"))
            return
        chosen, more = self._chosen(principal, limit)
        made.steps += self._requests()
        said = f"{len(chosen)}{' and more' if more else ''} open in the case system's list"
        made.steps.append(Step(name="cases", said=said))
        for case in chosen:
            made.steps.append(self._judged(made, principal, reader, case))
        if number is not None:
            self._single(made, principal, reader, number)

    def _chosen(self, principal: Principal, limit: int) -> tuple[Sequence[Case], bool]:
        page = self._lookup.cases(principal.customer, state=CaseState.OPEN, limit=min(limit, MAX_LIMIT))
        return page.items, page.next_cursor is not None

    def _single(self, made: Explanation, principal: Principal, reader: Reader, number: str) -> None:
        try:
            case = self._lookup.case(number)
        except CaseNotFoundError as error:
            made.steps += self._requests()
            made.steps.append(Step(name="case", said=f"{number[:80]}: {error}"))
            return
        made.steps += self._requests()
        made.steps.append(self._judged(made, principal, reader, case))

    def _judged(self, made: Explanation, principal: Principal, reader: Reader, case: Case) -> Step:
        try:
            entered, decision = self._cases.judge(reader, case)
        except FileSystemError as error:
            made.cases.append({"number": case.number, "allowed": False, "why": str(error), "folders": []})
            return Step(name="case", said=f"{case.number}: {error}")
        folders = [] if entered is None or not decision.allowed else self._folders(principal, entered)
        made.cases.append(
            {"number": case.number, "allowed": decision.allowed, "why": decision.reason, "folders": folders}
        )
        return Step(name="case", said=_judgement(case, decision), details=tuple(_places(entered, folders)))

    def _folders(self, principal: Principal, entered: EnteredCase) -> list[str]:
        layout = self._scene.layout
        tree = layout.tree(principal.view, principal.customer)
        values = self._values(principal, entered, layout.reserved | tree.reserved)
        mine = entered.case.assignee == principal.login
        return [f"/{'/'.join(path)}" for path in _paths(tree.root, values, mine=mine)]

    def _values(
        self, principal: Principal, entered: EnteredCase, reserved: frozenset[str]
    ) -> Callable[[str], str | None]:
        from mft.vfs.finding import template_values  # noqa: PLC0415  much is imported there

        return template_values(self._cases, entered, view=principal.view, reserved=reserved)

    def _requests(self) -> list[Step]:
        steps = [
            Step(
                name="request",
                said=f"{each.method} {each.target}: "
                + (f"{each.status}, {each.size} bytes" if each.status is not None else f"{each.failure}")
                + f", {each.seconds * 1000:.0f} ms",
            )
            for each in self._asked
        ]
        self._asked.clear()
        return steps


_FAILED_CLOSED = "nobody that is not remembered gets in, and no case is there, until the case system answers"


def _told(principal: Principal) -> Step:
    details = [
        f"roles {', '.join(sorted(role.value for role in principal.roles))}"
        + (f", of customer {principal.customer}" if principal.customer else ""),
        "a password hash (not shown)" if principal.password_hash else "no password hash: no password logs in",
        f"{len(principal.public_keys)} public keys",
        f"clearance {principal.clearance}; reads in "
        + ("every region" if principal.regions is None else ", ".join(sorted(principal.regions)) or "no region"),
        *([] if principal.grants is None else [_limits(principal.grants)]),
        ("active" if principal.active else "not active")
        + (f", until {principal.expires.isoformat(timespec='seconds')}" if principal.expires else ""),
    ]
    name = f" ({principal.name})" if principal.name else ""
    return Step(name="principal", said=f"{principal.login}{name}", details=tuple(details))


def _limits(grants: frozenset[CaseGrant]) -> str:
    words = sorted(
        f"{f'case {grant.case}' if grant.case else 'the cases'}{f' of {grant.customer}' if grant.customer else ''}"
        f"{'' if grant.clearance is None else f' at clearance {grant.clearance}'}"
        for grant in grants
    )
    return f"limited to {', '.join(words) or 'no case at all'}"


def _judgement(case: Case, decision: Decision) -> str:
    title = f" {case.title[:60]!r}" if case.title else ""
    told = f"allowed ({decision.reason})" if decision.allowed else f"does not exist for this login: {decision.reason}"
    return f"{case.number}{title}, {case.state.value}, of {case.customer}: {told}"


def _places(entered: EnteredCase | None, folders: list[str]) -> Iterator[str]:
    if entered is None:
        return
    residency = entered.residency
    copies = ", ".join(residency.copies) or "none"
    readers = ", ".join(sorted(residency.readers)) or "nowhere"
    yield f"home {residency.home}, copies {copies}, read from {readers} ({residency.rule})"
    yield from folders


def _paths(
    node: FolderNode, values: Callable[[str], str | None], *, mine: bool, above: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """Yield every way to the folder of the case that *values* are of."""
    if node.case is not None and (mine or not node.case.mine):
        yield (*above, node.case.segment.render(values))
    for name, inner in node.literals.values():
        yield from _paths(inner, values, mine=mine, above=(*above, name))
    if node.group is not None:
        segment, inner = node.group
        yield from _paths(inner, values, mine=mine, above=(*above, segment.render(values)))
