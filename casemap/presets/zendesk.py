"""Zendesk Support, over its Ticketing API.

Cases are tickets that belong to an organization, customers the organizations, logins the users by their e-mail
address: end users are their organization's, agents and admins engineers. Lists of cases come from the search, which
learns of a new ticket some minutes late; the ticket itself is there at once.
"""

from casemap.declarative.dialect import Dialect, Request

_GONE = "error == 'RecordNotFound'"

DIALECT = Dialect(
    auth="basic",
    requests={
        "principal": Request(
            path="/api/v2/users/search.json",
            query={"query": 'email:"{login:exact}"'},
            record="users",
            match="email",
            where="role != 'end-user' || organization_id",
            fields={
                "login": "email",
                "roles": "[role]",
                "customer": "role == 'end-user' && organization_id || `null`",
                "name": "name",
                "email": "email",
                "active": "active && !suspended",
            },
            values={"roles": {"end-user": "customer", "agent": "engineer", "admin": "engineer"}},
        ),
        "case": Request(
            path="/api/v2/tickets/{number:digits}.json",
            record="ticket",
            missing=_GONE,
            where="organization_id",
            fields={
                "number": "id",
                "title": "subject",
                "customer": "organization_id",
                "state": "status",
                "opened": "created_at",
                "kind": "type",
                "priority": "priority",
            },
            values={
                "state": {
                    "new": "open",
                    "open": "open",
                    "pending": "open",
                    "hold": "open",
                    "solved": "closed",
                    "closed": "closed",
                },
                "priority": {"urgent": "1", "high": "2", "normal": "3", "low": "4", "": "3"},
            },
        ),
        "cases": Request(
            path="/api/v2/search/export.json",
            query={
                "query": "organization:{customer:digits}[ {state}]",
                "filter[type]": "ticket",
                "page[size]": "{limit}",
                "page[after]": "{cursor}",
            },
            items="results",
            paging="cursor",
            next="meta.after_cursor",
            more="meta.has_more",
            max_limit=100,
            states={"open": "status<solved", "closed": "status>=solved"},
        ),
        "all_cases": Request(
            path="/api/v2/search/export.json",
            query={
                "query": "created>1970-01-01[ {state}]",
                "filter[type]": "ticket",
                "page[size]": "{limit}",
                "page[after]": "{cursor}",
            },
            items="results",
            paging="cursor",
            next="meta.after_cursor",
            more="meta.has_more",
            max_limit=100,
            states={"open": "status<solved", "closed": "status>=solved"},
        ),
        "customer": Request(
            path="/api/v2/organizations/{customer:digits}.json",
            record="organization",
            missing=_GONE,
            fields={"id": "id", "name": "name", "tags": "tags"},
        ),
        "customers": Request(
            path="/api/v2/organizations.json",
            query={"page[size]": "{limit}", "page[after]": "{cursor}"},
            items="organizations",
            paging="cursor",
            next="meta.after_cursor",
            more="meta.has_more",
            max_limit=100,
        ),
    },
)
