"""ServiceNow Customer Service Management, over the Table API.

Cases are `sn_customerservice_case`, customers the accounts by their number, logins the contacts by their user name. The
API answers every value as text. It leaves out a condition whose field it does not know, so that a list may hold
everybody's: that is seen, because the account of each case is compared with the one asked for.
"""

from casemap.declarative.dialect import Dialect, Request

_CASE = "number,short_description,account.number,active,opened_at,closed_at,priority,category"
_ACCOUNT = "number,name"
_CONTACT = "user_name,name,email,active,locked_out,account.number"

DIALECT = Dialect(
    auth="oauth2",
    token_path="/oauth_token.do",  # noqa: S106  a path
    settings={"case_table": "sn_customerservice_case", "account_table": "customer_account", "login_field": "user_name"},
    requests={
        "principal": Request(
            path="/api/now/table/customer_contact",
            query={
                "sysparm_query": "%login_field%={login:sysparm}",
                "sysparm_fields": _CONTACT,
                "sysparm_limit": "2",
                "sysparm_exclude_reference_link": "true",
            },
            record="result",
            where='"account.number"',
            fields={
                "login": "%login_field%",
                "roles": "['customer']",
                "customer": '"account.number"',
                "name": "name",
                "email": "email",
                "active": "active == 'true' && locked_out != 'true'",
            },
        ),
        "case": Request(
            path="/api/now/table/%case_table%",
            query={
                "sysparm_query": "number={number:sysparm}",
                "sysparm_fields": _CASE,
                "sysparm_limit": "2",
                "sysparm_exclude_reference_link": "true",
            },
            record="result",
            where='"account.number"',
            fields={
                "number": "number",
                "title": "short_description",
                "customer": '"account.number"',
                "state": "active",
                "opened": "utc(opened_at)",
                "closed": "utc(closed_at)",
                "kind": "category",
                "priority": "priority",
            },
            values={
                "state": {"true": "open", "false": "closed"},
                "priority": {"1": "1", "2": "2", "3": "3", "4": "4", "5": "5", "*": "3"},
            },
        ),
        "cases": Request(
            path="/api/now/table/%case_table%",
            query={
                "sysparm_query": "account.numberISNOTEMPTY[^account.number={customer:sysparm}][^active={state}]"
                "^ORDERBYnumber",
                "sysparm_fields": _CASE,
                "sysparm_limit": "{limit}",
                "sysparm_offset": "{offset}",
                "sysparm_exclude_reference_link": "true",
            },
            items="result",
            paging="offset",
            max_limit=1000,
            states={"open": "true", "closed": "false"},
        ),
        "customer": Request(
            path="/api/now/table/%account_table%",
            query={
                "sysparm_query": "number={customer:sysparm}",
                "sysparm_fields": _ACCOUNT,
                "sysparm_limit": "2",
            },
            record="result",
            fields={"id": "number", "name": "name"},
        ),
        "customers": Request(
            path="/api/now/table/%account_table%",
            query={
                "sysparm_query": "numberISNOTEMPTY^ORDERBYnumber",
                "sysparm_fields": _ACCOUNT,
                "sysparm_limit": "{limit}",
                "sysparm_offset": "{offset}",
            },
            items="result",
            paging="offset",
            max_limit=1000,
        ),
    },
)
