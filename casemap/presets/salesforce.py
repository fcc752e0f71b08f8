"""Salesforce Service Cloud, over the REST API's query resource (SOQL).

Cases go by `CaseNumber`, customers are accounts by their id, logins contacts by their e-mail address. Lists go by
key (`CaseNumber > …`), so that no query locator has to be kept.
"""

from casemap.declarative.dialect import Dialect, Request

_CASE = "SELECT CaseNumber, Subject, AccountId, IsClosed, CreatedDate, ClosedDate, Priority, Type FROM Case"
_ACCOUNT = "SELECT Id, Name FROM Account"
_CONTACT = "SELECT Email, Name, AccountId FROM Contact"
_QUERY = "/services/data/%api_version%/query"

DIALECT = Dialect(
    auth="oauth2",
    token_path="/services/oauth2/token",  # noqa: S106  a path
    settings={"api_version": "v62.0"},
    requests={
        "principal": Request(
            path=_QUERY,
            query={"q": f"{_CONTACT} WHERE Email = '{{login:soql}}' LIMIT 2"},
            record="records",
            where="AccountId",
            fields={
                "login": "Email",
                "roles": "['customer']",
                "customer": "AccountId",
                "name": "Name",
                "email": "Email",
            },
        ),
        "case": Request(
            path=_QUERY,
            query={"q": f"{_CASE} WHERE CaseNumber = '{{number:soql}}' LIMIT 2"},
            record="records",
            where="AccountId",
            fields={
                "number": "CaseNumber",
                "title": "Subject",
                "customer": "AccountId",
                "state": "IsClosed",
                "opened": "CreatedDate",
                "closed": "ClosedDate",
                "kind": "Type",
                "priority": "Priority",
            },
            values={
                "state": {"false": "open", "true": "closed"},
                "priority": {"Critical": "1", "High": "2", "Medium": "3", "Low": "4", "*": "3"},
            },
        ),
        "cases": Request(
            path=_QUERY,
            query={
                "q": f"{_CASE} WHERE AccountId != null[ AND AccountId = '{{customer:soql}}'][ AND IsClosed = {{state}}]"
                "[ AND CaseNumber > '{cursor:soql}'] ORDER BY CaseNumber LIMIT {limit}"
            },
            items="records",
            paging="keyset",
            max_limit=1000,
            states={"open": "false", "closed": "true"},
        ),
        "customer": Request(
            path=_QUERY,
            query={"q": f"{_ACCOUNT} WHERE Id = '{{customer:word}}' LIMIT 2"},
            record="records",
            fields={"id": "Id", "name": "Name"},
        ),
        "customers": Request(
            path=_QUERY,
            query={"q": f"{_ACCOUNT}[ WHERE Id > '{{cursor:word}}'] ORDER BY Id LIMIT {{limit}}"},
            items="records",
            paging="keyset",
            max_limit=1000,
        ),
    },
)
