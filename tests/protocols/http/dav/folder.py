"""A folder of a test, and requests for what is in it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.protocols.http.house import BASIC

if TYPE_CHECKING:
    from tests.protocols.http.house import Answer, House

BOB = "Basic " + base64.b64encode(b"bob:pass").decode()
SHARED, EXCLUSIVE = "shared", "exclusive"


def lock_info(scope: str = EXCLUSIVE, owner: str = "somebody") -> bytes:
    """Return the body of a LOCK."""
    return (
        f'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:{scope}/></D:lockscope>'
        f"<D:locktype><D:write/></D:locktype><D:owner>{owner}</D:owner></D:lockinfo>"
    ).encode()


@dataclass
class Folder:
    """A folder, as two people use it."""

    house: House
    name: str

    def url(self, name: str = "") -> str:
        return f"/dav/{self.name}/{name}"

    def ask(
        self,
        method: str,
        name: str = "",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        *,
        login: str = BASIC,
    ) -> Answer:
        return self.house.ask(method, self.url(name), headers, body, authorization=login)

    def lock(self, name: str, scope: str = EXCLUSIVE, *, login: str = BASIC, **headers: str) -> str:
        """Take a lock and return its token."""
        answer = self.ask("LOCK", name, {"Timeout": "Second-600", **headers}, lock_info(scope), login=login)
        assert answer.status in {200, 201}, answer
        return answer.headers["lock-token"].strip("<>")

    def content(self, name: str) -> bytes | None:
        return self.house.tree.content(f"/{self.name}/{name}")

    def hrefs(self, name: str = "") -> list[str]:
        """Return the addresses that a listing has, without the folder's own."""
        answer = self.ask("PROPFIND", name, {"Depth": "1"})
        assert answer.status == 207, answer
        return sorted(re.findall(r"<D:response><D:href>([^<]*)</D:href>", answer.body.decode())[1:])
