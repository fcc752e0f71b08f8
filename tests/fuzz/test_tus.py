"""Clients of tus that know no rules: whatever they ask is answered, and what is kept is what they sent.

A model goes along: bytes that a 204 has acknowledged are there, no others, and only a whole upload lands.
`make fuzz` runs it with many more examples.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from protocols.http import HttpSettings
from tests.protocols.http.house import UPLOADS, Answer, House, Wire, head, make_certificate, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FUZZING = settings.default is not None and settings.default.max_examples > 1000
SEEDS = 400 if FUZZING else 12
STEPS = 25
FOLDER = "/tus" + UPLOADS + "/"
STREAM = "application/offset+octet-stream"
ANSWERS = {200, 201, 204, 400, 403, 404, 405, 409, 410, 412, 413, 415, 416, 422, 423, 460}
"""Everything that may be said; nothing of it is a failure of ours."""
NUMBERS = ("", "0", "-1", "+3", "1e3", "0x10", " 7", "7 7", "9" * 30, str(1 << 63), "\u0664", "NaN", "5,5")
METADATA = (
    "filename", "filename !!!", "filename YQ==,filename YQ==", "filename YQ", ",,", "a b c", "filename Li4=",
    "filename Li4vLi4vZXRj", "filename YQBi", "relativePath Li4vLi4vYQ==", "relativePath L2V0Yy9wYXNzd2Q=",
    "filename /w==", "filename " + "A" * 6000, "name dW5kZWZpbmVk", "filename YQ==,modified bm93",
    "filename YQ==,case Li4=",
)  # fmt: skip
CHECKSUMS = (
    "sha256",
    "sha256 !",
    "md5 AAAA",
    "crc9 AAAA",
    "sha256 " + base64.b64encode(bytes(32)).decode(),
    "sha1 ",
    ",",
)
_names = itertools.count()


@dataclass
class Model:
    """What the server has said it has."""

    path: str
    content: bytes
    kind: str = "whole"
    offset: int = 0
    gone: bool = False

    @property
    def whole(self) -> bool:
        return self.offset == len(self.content)


@dataclass
class Client:
    """One who goes on asking."""

    house: House
    random: Random
    wire: Wire
    uploads: list[Model] = field(default_factory=list)
    named: dict[str, Model] = field(default_factory=dict)

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        named = {"Tus-Resumable": "1.0.0", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if method in {"POST", "PATCH"}:
            named.setdefault("Content-Length", str(len(body)))
        try:
            self.wire.send(head(method, target, named) + body)
            answer = self.wire.answer(method)
        except (OSError, EOFError):  # a refusal that ended the connection
            self.anew()
            self.wire.send(head(method, target, named) + body)
            answer = self.wire.answer(method)
        assert answer.status in ANSWERS, (method, target, headers, answer)
        assert b"Traceback" not in answer.body
        if answer.headers.get("connection") == "close":
            self.anew()
        return answer

    def anew(self) -> None:
        self.wire.drop()
        self.wire = self.house.wire()

    def pick(self) -> Model | None:
        return self.random.choice(self.uploads) if self.uploads else None

    # -- what it does --------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """Make an upload, of which everything is as it should be."""
        content = self.random.randbytes(self.random.choice([0, 1, 1000, 70_000]))
        name = f"fuzz-{next(_names)}"
        kind = self.random.choice(["whole", "partial"])
        headers = {"Upload_Length": str(len(content))}
        if kind == "partial":
            headers["Upload_Concat"] = "partial"
        else:
            headers["Upload_Metadata"] = "filename " + base64.b64encode(name.encode()).decode()
        answer = self.ask("POST", FOLDER, **headers)
        assert answer.status == 201, answer
        path = answer.headers["location"].removeprefix("https://localhost")
        model = Model(path, content, kind)
        self.uploads.append(model)
        if kind == "whole":
            self.named[name] = model

    def create_nonsense(self) -> None:
        """Ask for what cannot be made."""
        headers = {
            "Upload_Length": self.random.choice([*NUMBERS, "5"]),
            "Upload_Metadata": self.random.choice(METADATA),
        }
        if self.random.random() < 0.5:
            headers["Upload_Defer_Length"] = self.random.choice(["1", "0", "yes"])
        if self.random.random() < 0.3:
            headers["Upload_Concat"] = self.random.choice(["partial;", "final", "final;", "both", "final; ;"])
        self.ask("POST", FOLDER, **{name: value for name, value in headers.items() if value.isascii()})

    def go_on(self) -> None:
        """Send some of what is missing, with a checksum now and then."""
        model = self.pick()
        if model is None:
            return
        length = self.random.randint(0, len(model.content) - model.offset)
        piece = model.content[model.offset : model.offset + length]
        headers = {"Upload_Offset": str(model.offset), "Content_Type": STREAM}
        if self.random.random() < 0.5:
            headers["Upload_Checksum"] = "sha256 " + base64.b64encode(hashlib.sha256(piece).digest()).decode()
        answer = self.ask("PATCH", model.path, piece, **headers)
        if answer.status == 204:
            assert not model.gone
            model.offset += length
            assert int(answer.headers["upload-offset"]) == model.offset
        else:
            assert model.gone or model.whole, answer

    def go_wrong(self) -> None:
        """Send bytes with an offset, a length, a type or a checksum that cannot be."""
        model = self.pick()
        if model is None:
            return
        headers = {"Upload_Offset": str(model.offset), "Content_Type": STREAM}
        body = b"never to be kept"
        match self.random.randrange(4):
            case 0:
                headers["Upload_Offset"] = self.random.choice([number for number in NUMBERS if number.isascii()])
                if headers["Upload_Offset"].strip() == str(model.offset):
                    return
            case 1:
                headers["Upload_Checksum"] = self.random.choice(CHECKSUMS)
                body = body[: max(0, len(model.content) - model.offset)]
            case 2:
                headers["Content_Type"] = "text/plain"
            case _:
                body = bytes(len(model.content) - model.offset + 1)
        answer = self.ask("PATCH", model.path, body, **headers)
        assert answer.status >= 400 or not body, (headers, answer)

    def break_off(self) -> None:
        """End the connection in the middle of a piece: what came of it may be kept, and is asked for."""
        model = self.pick()
        if model is None or model.gone or model.whole:
            return
        piece = model.content[model.offset :]
        sent = self.random.randrange(len(piece))
        headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(model.offset), "Content-Type": STREAM}
        self.wire.send(head("PATCH", model.path, headers, length=len(piece)) + piece[:sent])
        self.random.choice([self.wire.drop, self.wire.reset, self.wire.goodbye])()
        self.wire = self.house.wire()
        self.house.wait(lambda: self.ask("HEAD", model.path).status == 200)
        offset = int(self.ask("HEAD", model.path).headers["upload-offset"])
        assert model.offset <= offset <= model.offset + sent
        model.offset = offset

    def end(self) -> None:
        """End an upload, and ask for it once more."""
        model = self.pick()
        if model is None or model.gone or (model.whole and model.kind == "whole"):
            return
        assert self.ask("DELETE", model.path).status == 204
        model.gone = True
        assert self.ask("HEAD", model.path).status in {404, 410}

    def join(self) -> None:
        """Make a file of anything that there is; it is made only of parts, whole ones or ones that are to come."""
        parts = [model for _ in range(self.random.randint(1, 3)) if (model := self.pick()) is not None]
        strange = self.random.choice(
            [[], [], ["/tus/" + "0" * 32], ["/etc/passwd"], ["http://elsewhere/tus/" + "a" * 32]]
        )
        name = f"joined-{next(_names)}"
        answer = self.ask(
            "POST",
            FOLDER,
            Upload_Concat="final;" + " ".join([*(model.path for model in parts), *strange]),
            Upload_Metadata="filename " + base64.b64encode(name.encode()).decode(),
        )
        sound = parts and not strange and all(model.kind == "partial" and not model.gone for model in parts)
        if answer.status != 201:
            assert not sound or len({id(model) for model in parts}) < len(parts), answer
            return
        assert sound, (parts, strange)
        if "upload-offset" in answer.headers:
            content = b"".join(model.content for model in parts)
            assert self.content(name) == content
        for model in parts:  # they belong to that file now
            self.uploads = [each for each in self.uploads if each is not model]

    def content(self, name: str) -> bytes | None:
        return self.house.tree.content(f"{UPLOADS}/{name}")

    def check(self) -> None:
        """Hold everything against what was said."""
        for model in self.uploads:
            answer = self.ask("HEAD", model.path)
            if model.gone:
                assert answer.status in {404, 410}
            else:
                assert (answer.status, int(answer.headers["upload-offset"])) == (200, model.offset)
        for name, model in self.named.items():
            assert self.content(name) == (model.content if model.whole else None)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One head for all who ask."""
    with running(make_certificate(tmp_path_factory.mktemp("tls")), HttpSettings(linger=0.5)) as house:
        yield house


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_is_asked_what_is_acknowledged_is_kept(house: House, seed: int) -> None:
    """No step fails in the server, no piece that was refused is there, and nothing lands in part."""
    client = Client(house, Random(seed), house.wire())
    steps: list[Callable[[], None]] = [
        client.create, client.create, client.create_nonsense, client.go_on, client.go_on, client.go_on,
        client.go_wrong, client.break_off, client.end, client.join,
    ]  # fmt: skip
    try:
        for _ in range(STEPS):
            client.random.choice(steps)()
        client.check()
    finally:
        client.wire.drop()
