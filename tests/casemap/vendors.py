"""Case systems of others, as far as we ask them: their recorded shapes of answers, served by a local HTTP server.

Each vendor is a function from a request to (status, document). The records are the same everywhere: two customers, one
with four open cases and a closed one, a case of nobody, and a person who logs in.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CASES = [
    # (number, title, whose, closed, priority from 1)
    (1, "Cannot boot after update", 0, False, 2),
    (2, "A title with \"quotes\" and 'more'", 0, False, 3),
    (3, "Old", 0, True, 4),
    (4, "Slow", 0, False, 1),
    (5, "Crash", 0, False, 3),
    (6, "Another's", 1, False, 3),
    (7, "Nobody's", None, False, 3),
]
NAMES = ["Acme Corp", "Bolt & Söhne"]
PERSON = "alice@acme.example"


class Vendor:
    """A vendor's API in memory: records of what was asked, and how it is to fail."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []
        self.tokens = 0
        self.current = None
        self.status = None
        self.raw = None

    def handle(self, method, target, headers, body):
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.asked.append((method, parts.path, query, dict(headers)))
        if self.status is not None:
            return self.status, {"error": "on request"}
        if self.raw is not None:
            return 200, self.raw
        if method == "POST":
            return self.token(body)
        if not self.admits(headers):
            return 401, {"error": {"message": "User Not Authenticated", "detail": "x"}}
        return self.answer(parts.path, query)

    def admits(self, headers):
        shown = headers.get("Authorization", "")
        if self.current is not None:
            return shown == f"Bearer {self.current}"
        return shown == "Basic " + base64.b64encode(b"robot:word of the robot").decode()

    def token(self, body):
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if (form.get("grant_type"), form.get("client_id"), form.get("client_secret")) != (
            "client_credentials",
            "robot",
            "word of the robot",
        ):
            return 401, {"error": "invalid_client"}
        self.tokens += 1
        self.current = f"token-{self.tokens}"
        return 200, {"access_token": self.current, "token_type": "Bearer", "expires_in": 1800, "scope": "useraccount"}


@contextmanager
def serving(vendor):
    """Serve *vendor* on a free port of this machine; give its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.respond(b"")

        def do_POST(self):
            self.respond(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def respond(self, body):
            status, document = vendor.handle(self.command, self.path, self.headers, body)
            sent = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json;charset=UTF-8")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request, client_address):
            """Say nothing: clients that go away are part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _slice(rows, start, size):
    return rows[start : start + size]


# -- ServiceNow: the Table API, every value a text -----------------------------------------------------------------


def servicenow(path, query):
    accounts = [{"number": f"ACCT000000{n}", "name": name} for n, name in enumerate(NAMES)]
    table = {
        "customer_contact": [
            {
                "user_name": PERSON,
                "name": "Alice Example",
                "email": PERSON,
                "active": "true",
                "locked_out": "false",
                "account.number": accounts[0]["number"],
            },
            {"user_name": "stray", "name": "S", "email": "", "active": "true", "locked_out": "", "account.number": ""},
        ],
        "customer_account": accounts,
        "sn_customerservice_case": [
            {
                "number": f"CS000100{number}",
                "short_description": title,
                "account.number": "" if whose is None else accounts[whose]["number"],
                "active": "false" if closed else "true",
                "opened_at": "2026-11-01 09:30:00",
                "closed_at": "2026-11-05 10:00:00" if closed else "",
                "priority": str(priority),
                "category": "",
            }
            for number, title, whose, closed, priority in CASES
        ],
    }
    name = path.removeprefix("/api/now/table/")
    if name not in table:
        return 400, {"error": {"message": f"Invalid table {name}", "detail": None}, "status": "failure"}
    rows = table[name]
    for condition in query["sysparm_query"].split("^"):
        if condition.startswith("ORDERBY"):
            rows = sorted(rows, key=lambda row: row[condition.removeprefix("ORDERBY")])
        elif condition.endswith("ISNOTEMPTY"):
            rows = [row for row in rows if row[condition.removesuffix("ISNOTEMPTY")]]
        else:
            field, _, value = condition.partition("=")
            rows = [row for row in rows if row.get(field, value).casefold() == value.casefold()]
    shown = query["sysparm_fields"].split(",")
    rows = _slice(rows, int(query.get("sysparm_offset", "0")), int(query["sysparm_limit"]))
    return 200, {"result": [{field: row[field] for field in shown} for row in rows]}


# -- Salesforce: SOQL ------------------------------------------------------------------------------------------------

_SOQL = re.compile(
    r"SELECT (?P<fields>.+?) FROM (?P<table>\w+)(?: WHERE (?P<where>.+?))?(?: ORDER BY (?P<order>\w+))?"
    r" LIMIT (?P<limit>\d+)"
)
_CONDITION = re.compile(r"(\w+) (=|!=|>) ('(?:[^'\\]|\\.)*'|null|true|false)")


def salesforce(path, query):
    if path != "/services/data/v62.0/query":
        return 404, [{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}]
    ids = ["0015g00000AbCdEAAV", "0015g00000AbCdFAAV"]
    table = {
        "Contact": [{"Email": PERSON, "Name": "Alice Example", "AccountId": ids[0]}],
        "Account": [{"Id": key, "Name": name} for key, name in zip(ids, NAMES, strict=True)],
        "Case": [
            {
                "CaseNumber": f"0000100{number}",
                "Subject": title,
                "AccountId": None if whose is None else ids[whose],
                "IsClosed": closed,
                "CreatedDate": "2026-11-01T09:30:00.000+0000",
                "ClosedDate": "2026-11-05T10:00:00.000+0000" if closed else None,
                "Priority": [None, "Critical", "High", "Medium", "Low"][priority],
                "Type": None,
            }
            for number, title, whose, closed, priority in CASES
        ],
    }
    asked = _SOQL.fullmatch(query["q"])
    if asked is None:
        return 400, [{"message": "unexpected token", "errorCode": "MALFORMED_QUERY"}]
    rows = table[asked["table"]]
    where = asked["where"] or ""
    conditions = _CONDITION.findall(where)
    if " AND ".join(" ".join(each) for each in conditions) != where:
        return 400, [{"message": "unexpected token", "errorCode": "MALFORMED_QUERY"}]
    for field, operator, literal in conditions:
        words = {"null": None, "true": True, "false": False}
        value = words[literal] if literal in words else re.sub(r"\\(.)", r"\1", literal[1:-1])
        if operator == "!=":
            rows = [row for row in rows if row[field] != value]
        elif operator == ">":
            rows = [row for row in rows if row[field] > value]
        else:
            fold = str.casefold if isinstance(value, str) and field != "Id" else lambda each: each
            rows = [row for row in rows if row[field] is not None and fold(row[field]) == fold(value)]
    if asked["order"]:
        rows = sorted(rows, key=lambda row: row[asked["order"]])
    rows = rows[: int(asked["limit"])]
    url = f"/services/data/v62.0/sobjects/{asked['table']}/x"
    records = [{"attributes": {"type": asked["table"], "url": url}, **row} for row in rows]
    return 200, {"totalSize": len(records), "done": True, "records": records}


# -- Zendesk: tickets, organizations, users; cursors -----------------------------------------------------------------

_GONE = (404, {"error": "RecordNotFound", "description": "Not found"})


def zendesk(path, query):
    organizations = [
        {"id": 360000 + n, "name": name, "tags": ["gold"] if n == 0 else []} for n, name in enumerate(NAMES)
    ]
    tickets = [
        {
            "id": 35430 + number,
            "subject": title,
            "organization_id": None if whose is None else organizations[whose]["id"],
            "status": "solved" if closed else "open",
            "created_at": "2026-11-01T09:30:00Z",
            "type": "incident",
            "priority": [None, "urgent", "high", "normal", "low"][priority],
            "result_type": "ticket",
        }
        for number, title, whose, closed, priority in CASES
    ]
    users = [
        _user(PERSON, "end-user", organizations[0]["id"]),
        _user("erin@vendor.example", "agent", organizations[1]["id"]),
        _user("stray@nowhere.example", "end-user", None),
    ]
    if path == "/api/v2/users/search.json":
        wanted = query["query"].removeprefix('email:"').removesuffix('"')
        found = [user for user in users if user["email"].casefold() == wanted.casefold()]
        return 200, {"users": found, "count": len(found), "next_page": None, "previous_page": None}
    if found := re.fullmatch(r"/api/v2/(tickets|organizations)/(\d+)\.json", path):
        rows = tickets if found[1] == "tickets" else organizations
        row = next((row for row in rows if row["id"] == int(found[2])), None)
        return _GONE if row is None else (200, {found[1].removesuffix("s"): row})
    if path == "/api/v2/organizations.json":
        return _zendesk_page("organizations", organizations, query)
    if path == "/api/v2/search/export.json" and query["filter[type]"] == "ticket":
        rows = tickets
        for word in query["query"].split():
            if word.startswith("organization:"):
                rows = [row for row in rows if str(row["organization_id"]) == word.removeprefix("organization:")]
            elif word.startswith("status"):
                rows = [row for row in rows if (row["status"] == "solved") == (word == "status>=solved")]
        return _zendesk_page("results", rows, query)
    return 404, {"error": "InvalidEndpoint", "description": "Not found"}


def _user(email, role, organization):
    return {
        "id": 1,
        "name": "Alice Example" if email == PERSON else "x",
        "email": email,
        "role": role,
        "organization_id": organization,
        "active": True,
        "suspended": False,
    }


def _zendesk_page(name, rows, query):
    after = query.get("page[after]")
    if after is not None and re.fullmatch(r"c\d+", after) is None:
        return 400, {"error": "InvalidPaginationParameter", "description": "page[after] is not valid"}
    start, size = int(after[1:]) if after else 0, int(query["page[size]"])
    more = start + size < len(rows)
    return 200, {
        name: _slice(rows, start, size),
        "meta": {"has_more": more, "after_cursor": f"c{start + size}" if rows else None, "before_cursor": None},
        "links": {"prev": None, "next": "https://example.zendesk.com/next" if more else None},
    }


# -- Jira Service Management ----------------------------------------------------------------------------------------


def jira(path, query):
    organizations = [
        {"id": str(n + 11), "name": name, "_links": {"self": "https://example.atlassian.net/x"}}
        for n, name in enumerate(NAMES)
    ]
    issues = [
        {
            "id": str(10000 + number),
            "key": f"SUP-{number}",
            "fields": {
                "summary": title,
                "status": {
                    "name": "Done" if closed else "Waiting for support",
                    "statusCategory": {"id": 3, "key": "done" if closed else "indeterminate", "name": "x"},
                },
                "priority": {"name": [None, "Highest", "High", "Medium", "Low"][priority], "id": str(priority)},
                "created": "2026-11-01T10:30:00.000+0100",
                "resolutiondate": "2026-11-05T11:00:00.000+0100" if closed else None,
                "issuetype": {"name": "Incident"},
                "customfield_10002": [] if whose is None else [{**organizations[whose], "_links": {}}],
            },
        }
        for number, title, whose, closed, priority in CASES
    ]
    issues.append({**issues[0], "key": "SUP-8", "fields": {**issues[0]["fields"], "customfield_10002": organizations}})
    if path == "/rest/api/3/user/search":
        people = [
            {"accountId": "qm:8:1", "accountType": "customer", "emailAddress": PERSON, "displayName": "Alice Example"},
            {"accountId": "qm:8:2", "accountType": "customer", "emailAddress": "alice@acme.example.org"},
        ]
        people = [{**person, "active": True} for person in people]
        return 200, [person for person in people if person["emailAddress"].startswith(query["query"].casefold())]
    if path == "/rest/servicedeskapi/organization":
        rows = organizations
        if "accountId" in query:
            rows = organizations[:1] if query["accountId"] == "qm:8:1" else []
        start, limit = int(query.get("start", "0")), int(query["limit"])
        return 200, {
            "_expands": [],
            "size": len(_slice(rows, start, limit)),
            "start": start,
            "limit": limit,
            "isLastPage": start + limit >= len(rows),
            "values": _slice(rows, start, limit),
        }
    if found := re.fullmatch(r"/rest/servicedeskapi/organization/(\d+)", path):
        row = next((row for row in organizations if row["id"] == found[1]), None)
        return (404, {"errorMessage": "The organization does not exist"}) if row is None else (200, row)
    if found := re.fullmatch(r"/rest/api/3/issue/(.+)", path):
        row = next((row for row in issues if row["key"] == found[1].upper()), None)
        gone = {"errorMessages": ["Issue does not exist or you do not have permission to see it."], "errors": {}}
        return (404, gone) if row is None else (200, row)
    if path == "/rest/api/3/search/jql":
        return _jira_search(issues, query)
    return 404, {"errorMessages": ["null for uri"], "errors": {}}


def _jira_search(issues, query):
    rows = issues
    jql, _, _ = query["jql"].partition(" ORDER BY ")
    for clause in jql.split(" AND "):
        if found := re.fullmatch(r'organizations = "((?:[^"\\]|\\.)*)"', clause):
            name = re.sub(r"\\(.)", r"\1", found[1])
            rows = [row for row in rows if name in [each["name"] for each in row["fields"]["customfield_10002"]]]
        elif clause.startswith("statusCategory"):
            done = clause == "statusCategory = Done"
            rows = [row for row in rows if (row["fields"]["status"]["statusCategory"]["key"] == "done") == done]
        elif clause not in {'project = "SUP"', "organizations is not EMPTY"}:
            return 400, {"errorMessages": [f"Error in the JQL Query: {clause}"], "errors": {}}
    token = query.get("nextPageToken")
    if token is not None and re.fullmatch(r"t\d+", token) is None:
        return 400, {"errorMessages": ["nextPageToken is not valid"], "errors": {}}
    start, size = int(token[1:]) if token else 0, int(query["maxResults"])
    if start + size < len(rows):
        return 200, {"issues": _slice(rows, start, size), "nextPageToken": f"t{start + size}", "isLast": False}
    return 200, {"issues": _slice(rows, start, size), "isLast": True}
