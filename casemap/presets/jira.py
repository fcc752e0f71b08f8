"""Jira Service Management Cloud: issues over the platform API, organizations over the service desk API.

Cases are the issues of one project that are shared with exactly one organization, customers the organizations by
their id, logins the users by their e-mail address, where they belong to exactly one organization. What is shared with
two is nobody's here: whose it is must not be a guess. JQL knows organizations by name: a list asks for the name first.
"""

from casemap.declarative.dialect import Dialect, Request, Step

_FIELDS = "summary,status,priority,created,resolutiondate,issuetype,%organizations_field%"
_JQL = 'project = "%project%"'
_ORDER = " ORDER BY created ASC, key ASC"

DIALECT = Dialect(
    auth="basic",
    settings={"project": None, "organizations_field": "customfield_10002"},
    requests={
        "principal": Request(
            first={
                "user": Step(
                    path="/rest/api/3/user/search",
                    query={"query": "{login}", "maxResults": "50"},
                    match="emailAddress",
                )
            },
            path="/rest/servicedeskapi/organization",
            query={"accountId": "{user.accountId}", "limit": "2"},
            record="@",
            where="length(values) == `1`",
            fields={
                "login": "user.emailAddress",
                "roles": "['customer']",
                "customer": "values[0].id",
                "name": "user.displayName",
                "email": "user.emailAddress",
                "active": "user.active",
            },
        ),
        "case": Request(
            path="/rest/api/3/issue/{number}",
            query={"fields": _FIELDS},
            record="@",
            missing="errorMessages",
            where="starts_with(key, '%project%-') && fields.%organizations_field%"
            " && length(fields.%organizations_field%) == `1`",
            fields={
                "number": "key",
                "title": "fields.summary",
                "customer": "fields.%organizations_field%[0].id",
                "state": "fields.status.statusCategory.key",
                "opened": "fields.created",
                "closed": "fields.resolutiondate",
                "kind": "fields.issuetype.name",
                "priority": "fields.priority.name",
            },
            values={
                "state": {"new": "open", "indeterminate": "open", "undefined": "open", "done": "closed"},
                "priority": {"Highest": "1", "High": "2", "Medium": "3", "Low": "4", "Lowest": "5", "*": "3"},
            },
        ),
        "cases": Request(
            first={
                "organization": Step(path="/rest/servicedeskapi/organization/{customer:digits}", record="@"),
            },
            path="/rest/api/3/search/jql",
            query={
                "jql": f'{_JQL} AND organizations = "{{organization.name:jql}}"[ AND {{state}}]{_ORDER}',
                "fields": _FIELDS,
                "maxResults": "{limit}",
                "nextPageToken": "{cursor}",
            },
            items="issues",
            missing="errorMessage",
            paging="cursor",
            next="nextPageToken",
            max_limit=100,
            states={"open": "statusCategory != Done", "closed": "statusCategory = Done"},
        ),
        "all_cases": Request(
            path="/rest/api/3/search/jql",
            query={
                "jql": f"{_JQL} AND organizations is not EMPTY[ AND {{state}}]{_ORDER}",
                "fields": _FIELDS,
                "maxResults": "{limit}",
                "nextPageToken": "{cursor}",
            },
            items="issues",
            paging="cursor",
            next="nextPageToken",
            max_limit=100,
            states={"open": "statusCategory != Done", "closed": "statusCategory = Done"},
        ),
        "customer": Request(
            path="/rest/servicedeskapi/organization/{customer:digits}",
            record="@",
            missing="errorMessage",
            fields={"id": "id", "name": "name"},
        ),
        "customers": Request(
            path="/rest/servicedeskapi/organization",
            query={"start": "{offset}", "limit": "{limit}"},
            items="values",
            paging="offset",
            more="!isLastPage",
            max_limit=50,
        ),
    },
)
