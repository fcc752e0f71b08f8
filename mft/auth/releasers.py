"""Who may agree to what goes past every rule, at this moment."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from mft.permissions import Permission, permissions_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mft.auth.principals import Principals


def releasers(principals: Principals) -> Callable[[str], bool]:
    """Return what says of a login whether it is somebody's, may log in now, and holds the role.

    What is returned raises UnavailableError where that cannot be said.
    """

    def is_releaser(login: str) -> bool:
        found = principals.find(login)
        if found is None or not found.is_current(dt.datetime.now(dt.UTC)):
            return False
        return Permission.QUARANTINE_RELEASE in permissions_of(found.roles)

    return is_releaser
