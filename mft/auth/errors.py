"""What can go wrong when accounts are managed. Texts are for operators.

    AccountError
    ├── NoSuchAccountError
    ├── AccountExistsError
    ├── InvalidAccountError   a login, role, customer, region or clearance that cannot be
    ├── PasswordRuleError     a new password that is too easily guessed
    ├── PublicKeyError        no public key line, or a key too weak to be taken; says why
    ├── NoSuchKeyError
    ├── NoSuchTokenError
    └── NoSuchGrantError

Refused logins are `protocols.errors.AuthenticationError`: those texts go to clients.
"""

from __future__ import annotations


class AccountError(Exception):
    """Base of the errors of managing accounts."""


class NoSuchAccountError(AccountError):
    """There is no local account of that login."""


class AccountExistsError(AccountError):
    """There is an account already whose login is, or looks like, that one."""


class InvalidAccountError(AccountError):
    """An account cannot be like that."""


class PasswordRuleError(AccountError):
    """The new password breaks the rules."""


class PublicKeyError(AccountError):
    """The line is not a public key that is taken here."""


class NoSuchKeyError(AccountError):
    """The account has no such key."""


class NoSuchTokenError(AccountError):
    """There is no such token."""


class NoSuchGrantError(AccountError):
    """The account has no such grant."""
