"""A private key goes in every dress that programs and people put it in, and what stands around it stays."""

from __future__ import annotations

import base64
import random

import pytest

from scrubber.detector import Detector
from scrubber.pseudonym import Pseudonymizer
from scrubber.rules import load_rules
from scrubber.text import TextScrubber

DETECTOR = Detector(load_rules(), Pseudonymizer(b"k" * 32))
BODY = base64.b64encode(random.Random(1).randbytes(800))
LINES = [BODY[at : at + 64] for at in range(0, len(BODY), 64)]
KEY = [b"-----BEGIN RSA PRIVATE " + b"KEY-----", *LINES, b"-----END RSA PRIVATE " + b"KEY-----"]


def run(data: bytes) -> bytes:
    scrubber = TextScrubber(DETECTOR, lambda _: None)
    return scrubber.feed(data) + scrubber.finish()


def each(prefix: bytes, end: bytes = b"\n") -> bytes:
    return b"".join(prefix.replace(b"%d", b"%d" % number) + line + end for number, line in enumerate(KEY, 1))


def encoded(space: bytes) -> bytes:
    text = b"%0A".join(KEY).replace(b"+", b"%2B").replace(b"/", b"%2F").replace(b"=", b"%3D")
    return text.replace(b" ", space)


DRESSES = {
    "plain": each(b""),
    "DOS": each(b"", b"\r\n"),
    "indented": each(b"    "),
    "quoted mail": each(b"> "),
    "twice quoted mail": each(b">> "),
    "commented": each(b"# "),
    "diff": each(b"+"),
    "cat -A": each(b"", b"$\n"),
    "numbered": each(b"   %d  "),
    "grep -n": each(b"/etc/ssl/k.pem:%d:"),
    "syslog": each(b"Nov 22 01:02:03 web1 app[77]: "),
    "logger": each(b"2026-11-22 01:02:03,123 DEBUG [main] c.e.App - "),
    "container log": each(b"2026-11-22T01:02:03.123456789Z stdout F "),
    "container log in JSON": each(b'{"log":"', b'\\n","stream":"stdout","time":"2026-11-22T01:02:03.1Z"}\n'),
    "log with others between": each(b"Nov 22 01:02:03 web1 app[77]: ").replace(
        LINES[5] + b"\n", LINES[5] + b"\nNov 22 01:02:03 web1 cron[9]: (keep) CMD (run-parts)\n"
    ),
    "here document": b"cat <<EOF > k\n" + each(b"") + b"EOF\n",
    "python": b'k = ("' + b'\\n"\n     "'.join(KEY) + b'\\n")\n',
    "java": b'String k = "' + b'\\n" +\n    "'.join(KEY) + b'\\n";\nint keep = 1;\n',
    "JSON": b'{"k": "' + b"\\n".join(KEY) + b'\\n", "x": "keep"}\n',
    "JSON in JSON": b'"{\\"k\\": \\"' + b"\\\\n".join(KEY) + b'\\\\n\\", \\"x\\": \\"keep\\"}"\n',
    "JSON by number": b'{"k":"' + b"\\u000a".join(KEY) + b'","x":"keep"}\n',
    "YAML": b"key: |\n" + each(b"  ") + b"other: keep\n",
    "XML": b"<k>" + b"&#xA;".join(KEY) + b"</k><x>keep</x>\n",
    "attribute": b'<k v="' + b"&#10;".join(KEY) + b'" x="keep"/>\n',
    "CSV": b'1,"' + b"\n".join(KEY) + b'",keep\n',
    "SQL": b"INSERT INTO t VALUES (1,'" + b"\\n".join(KEY) + b"','keep');\n",
    "environment": b'KEY="' + b"\n".join(KEY) + b'"\nOTHER=keep\n',
    "process list": b"root 12 0.0 app --key " + b"?".join(KEY) + b" --keep\n",
    "one line": b" ".join(KEY) + b" keep\n",
    "form": b"key=" + encoded(b"+") + b"&x=keep\n",
    "query": b"key=" + encoded(b"%20") + b"&x=keep\n",
    "octal": b"Nov 22 a: " + b"#012".join(KEY) + b" keep\n",
    "two in a row": each(b"") + each(b""),
    "cut": b"\n".join(KEY[:6]) + b"\n",
    "cut within a line": b"\n".join(KEY[:6]),
}


@pytest.mark.parametrize("name", DRESSES)
def test_key_goes_and_its_surroundings_stay(name):
    """No line of the key is left, every other word is, and so is the number of lines; once is enough."""
    data = b"first line keep\n" + DRESSES[name] + b"after line keep\n"
    out = run(data)
    assert not any(line[:20] in out for line in LINES)
    assert b"PRIVATE" not in out
    assert out.count(b"keep") == data.count(b"keep")
    assert out.count(b"\n") == data.count(b"\n")
    assert run(out) == out


@pytest.mark.parametrize(
    "text", [b"this is ordinary text that stays\nand more of it\n", b"stopped\nOK\nrestart done\n"]
)
@pytest.mark.parametrize("between", [b"\n", b"\n\n"])
def test_text_after_a_key_without_end_stays(text, between):
    """A key whose end is missing does not take the text behind it along."""
    out = run(b"\n".join(KEY[:-1]) + between + text)
    assert not any(line[:20] in out for line in LINES)
    assert out.endswith(text)
