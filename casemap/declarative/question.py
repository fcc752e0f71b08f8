"""One question to a case system, ready to be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from casemap.declarative.dialect import Paging
from casemap.declarative.expression import Expression
from casemap.declarative.template import Template
from casemap.errors import LookupSettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from casemap.declarative.dialect import Request, Step

GIVEN = {
    "principal": frozenset({"login"}),
    "case": frozenset({"number"}),
    "customer": frozenset({"customer"}),
    "cases": frozenset({"customer", "state", "limit", "cursor", "offset", "page"}),
    "all_cases": frozenset({"state", "limit", "cursor", "offset", "page"}),
    "customers": frozenset({"limit", "cursor", "offset", "page"}),
}
"""What the templates of each question may use, besides the answers of its `first` requests."""


class Ask:
    """A path and a query, ready for values."""

    def __init__(self, request: Request | Step, given: frozenset[str], at: str) -> None:
        """Read the templates of *request*, found at path *at*; they may use what is *given*.

        Raises:
            LookupSettingsError: a template is none, or uses something else.
        """
        if not request.path.startswith("/"):
            raise LookupSettingsError(f"{at}.path: must be given, and begin with a slash")
        self._path = _template(request.path, given, f"{at}.path")
        self._query = {
            name: _template(text, given, f"{at}.query.{name}")
            for name, text in request.query.items()
            if text is not None
        }
        self.record = Expression(request.record, f"{at}.record")
        self.match = None if request.match is None else Expression(request.match, f"{at}.match")

    def target(self, prefix: str, values: Mapping[str, str]) -> str:
        """Return path and query as they are sent, below *prefix*.

        Raises:
            UnaskableError: a value cannot stand there.
        """
        path = self._path.path(values) or "/"
        filled = {name: template.fill(values) for name, template in self._query.items()}
        query = urlencode({name: text for name, text in filled.items() if text is not None})
        return prefix + path + (f"?{query}" if query else "")


class Question(Ask):
    """A question, with what its answer means."""

    def __init__(self, request: Request, kind: str, at: str) -> None:
        """Read *request*, the question *kind*, found at path *at*.

        Raises:
            LookupSettingsError: something in it cannot be.
        """
        given, self.first = GIVEN[kind], dict[str, Ask]()
        for name, step in request.first.items():
            self.first[name] = Ask(step, given, f"{at}.first.{name}")
            given |= {name}
        super().__init__(request, given, at)
        self._headers = {
            name: _template(text, given, f"{at}.headers.{name}")
            for name, text in request.headers.items()
            if text is not None
        }
        self.items = Expression(request.items, f"{at}.items")
        self.missing = None if request.missing is None else Expression(request.missing, f"{at}.missing")
        self.next = None if request.next is None else Expression(request.next, f"{at}.next")
        self.more = None if request.more is None else Expression(request.more, f"{at}.more")
        self.max_limit = request.max_limit
        self.states = request.states
        try:
            self.paging = Paging(request.paging)
        except ValueError as error:
            known = ", ".join(each.value for each in Paging)
            raise LookupSettingsError(f"{at}.paging: {request.paging!r} is not one of {known}") from error
        if self.paging is Paging.CURSOR and self.next is None:
            raise LookupSettingsError(f"{at}.next: must be given where paging is cursor")

    def headers(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return this question's own headers.

        Raises:
            UnaskableError: a value cannot stand there.
        """
        filled = {name: template.fill(values) for name, template in self._headers.items()}
        return {name: text for name, text in filled.items() if text is not None}


def _template(text: str, given: frozenset[str], at: str) -> Template:
    try:
        template = Template(text)
    except LookupSettingsError as error:
        raise LookupSettingsError(f"{at}: {error}") from error
    for name in sorted(template.names - given):
        raise LookupSettingsError(f"{at}: {{{name}}} is not known here; known are {', '.join(sorted(given))}")
    return template
