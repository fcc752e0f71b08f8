"""Receipts by their id, and the key that they are signed with."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from mft.api.document import Id32, Nothing, Parameters
from mft.api.fault import not_found
from mft.api.route import Answer, Call, Route
from mft.catalog.model import RECEIPTS, UPLOADS
from mft.permissions import Permission
from mft.receipts import public_key_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.api.rooms import ApiRooms


class ReceiptPath(Parameters):
    """Which receipt."""

    id: Id32


class ReceiptQuery(Parameters):
    """Which of the two."""

    kind: Annotated[
        Literal["landed", "final"] | None,
        Field(description="Without it, the final receipt, and as long as there is none the landed one."),
    ] = None


class Signature(BaseModel):
    """An Ed25519 signature over everything else in canonical form (RFC 8785)."""

    model_config = ConfigDict(extra="allow")

    algorithm: str
    key: str
    value: str


class Receipt(BaseModel):
    """Signed claims about one deposit; `mft receipt verify` checks it offline."""

    model_config = ConfigDict(extra="allow")

    id: str
    kind: Literal["landed", "final"]
    signature: Signature


class ReceiptKey(BaseModel):
    """The public key of this installation's receipts."""

    model_config = ConfigDict(extra="allow")


class ReceiptRoutes:
    """Answers who asks for a receipt: the sender alone."""

    def __init__(self, rooms: ApiRooms) -> None:
        """Read from the catalog of *rooms*."""
        self._rooms = rooms

    def routes(self) -> Iterator[Route[Any, Any, Any]]:
        """Yield what is served."""
        yield Route(
            method="GET",
            path="/receipts/{id}",
            name="getReceipt",
            tag="receipts",
            summary="A signed receipt of one of your deposits",
            handle=self.get,
            permission=Permission.RECEIPTS_READ,
            path_model=ReceiptPath,
            query_model=ReceiptQuery,
            answer_model=Receipt,
        )
        yield Route(
            method="GET",
            path="/receipt-key",
            name="getReceiptKey",
            tag="receipts",
            summary="The public key that receipts are verified with",
            handle=self.key,
            permission=None,
            public=True,
            answer_model=ReceiptKey,
        )

    def get(self, call: Call[ReceiptPath, ReceiptQuery, Nothing]) -> Answer:
        """Return the final receipt, or the landed one as long as there is no final one."""
        with self._rooms.database.read() as connection:
            login = connection.execute(select(UPLOADS.c.login).where(UPLOADS.c.id == call.path.id)).scalar()
            if login is None or login != call.caller.login:
                raise not_found("receipt")
            rows = connection.execute(select(RECEIPTS).where(RECEIPTS.c.upload_id == call.path.id)).all()
        documents = {row.kind: json.loads(row.document) for row in rows}
        kinds = ("final", "landed") if call.query.kind is None else (call.query.kind,)
        for kind in kinds:
            if kind in documents:
                return Answer(document=Receipt.model_validate(documents[kind]))
        raise not_found("receipt")

    def key(self, _call: Call[Nothing, Nothing, Nothing]) -> Answer:
        """Return the public key that receipts are signed with."""
        document = ReceiptKey.model_validate(public_key_document(self._rooms.receipt_key))
        return Answer(document=document, status=HTTPStatus.OK, headers={"Cache-Control": "public, max-age=3600"})
