"""The HTTPS head: the tree and its deposit aliases over HTTP/1.1, TLS always.

`HttpServer` is the head; an application adds routes of its own through `extra` and finds the caller with `session_of`.
"""

from protocols.http.app import HttpServer
from protocols.http.auth import session_of
from protocols.http.settings import Exchange, HttpSettings
from protocols.http.status import ProblemError, defer_continue, proceed
from protocols.http.target import Mount
from protocols.http.tls import server_context

__all__ = [
    "Exchange",
    "HttpServer",
    "HttpSettings",
    "Mount",
    "ProblemError",
    "defer_continue",
    "proceed",
    "server_context",
    "session_of",
]
