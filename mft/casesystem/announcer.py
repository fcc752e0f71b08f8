"""How the simulator announces what was changed in it: webhooks to a server, as a real case system sends them."""

from __future__ import annotations

import datetime as dt
import json
import logging
import secrets
import time
from typing import TYPE_CHECKING

from mft.config.secrets import parse_webhook_secret
from mft.webhooks.addresses import parse_networks
from mft.webhooks.errors import DeliveryError
from mft.webhooks.post import Poster
from mft.webhooks.signature import signed_headers

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)
_ANYWHERE = ("0.0.0.0/0", "::/0")
"""It is a toy, and announces to where its user says."""


class Announcer:
    """Announces, and says on the log what could not be."""

    def __init__(self, url: str, secret: str, ca_file: Path | None = None) -> None:
        """Announce to *url* (`https://HOST/api/v1/webhooks/in`), signed with *secret* (`whsec_…`).

        Raises:
            ValueError: the secret is not in that form.
            OSError: the file of certificates cannot be read.
        """
        self._url = url
        self._key = parse_webhook_secret(secret)
        self._poster = Poster(allowed=parse_networks(_ANYWHERE), ca_file=ca_file)

    def tell(self, kind: str, **data: str) -> bool:
        """Announce one change; say whether it was taken. Blocks."""
        at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        body = json.dumps({"type": kind, "timestamp": at, "data": data}).encode()
        message = f"msg_{secrets.token_hex(12)}"
        headers = signed_headers([self._key], message_id=message, timestamp=int(time.time()), body=body)
        try:
            self._poster.post(self._url, headers, body)
        except DeliveryError as error:
            log.warning("announcement %s was not taken: %s", kind, error)
            return False
        return True
