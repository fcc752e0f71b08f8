"""What can go wrong with webhooks. Texts may be shown to whoever asked.

WebhookError
├── AnnouncementError        an announcement that is not taken; `status` is what HTTP answers
│   ├── SignatureError       unsigned, signed with another secret, or too old
│   ├── RepeatedIdError      its id was used for something else
│   └── MalformedAnnouncementError
├── InvalidEndpointError     an address, a pattern or a name that cannot be
├── NoSuchEndpointError
├── NoSuchDeliveryError
├── EndpointExistsError
└── DeliveryError            one attempt failed: it comes up again
    └── ForbiddenAddressError   the address is one that may not be called
"""

from __future__ import annotations

from http import HTTPStatus


class WebhookError(Exception):
    """Base of the errors of webhooks."""


class AnnouncementError(WebhookError):
    """An announcement of the case system that is not taken."""

    status = HTTPStatus.BAD_REQUEST


class SignatureError(AnnouncementError):
    """It does not prove that it comes from the case system, now."""

    status = HTTPStatus.UNAUTHORIZED


class RepeatedIdError(AnnouncementError):
    """Its id was used before, for something else."""

    status = HTTPStatus.CONFLICT


class MalformedAnnouncementError(AnnouncementError):
    """It is signed, and says nothing that we understand."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class InvalidEndpointError(WebhookError):
    """An endpoint that cannot be: says what of it, and what can."""


class NoSuchEndpointError(WebhookError):
    """There is no endpoint of that name."""


class EndpointExistsError(WebhookError):
    """There is an endpoint of that name already."""


class NoSuchDeliveryError(WebhookError):
    """There is no delivery of that number, or none that could be sent again."""


class DeliveryError(WebhookError):
    """An attempt failed. The text names the kind of failure and nothing of an answer's body."""

    def __init__(self, text: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        """Say what failed; *status* is HTTP's, *retry_after* in seconds what the receiver asked for."""
        super().__init__(text)
        self.status = status
        self.retry_after = retry_after


class ForbiddenAddressError(DeliveryError):
    """The name of the endpoint's host stands for an address that may not be called."""
