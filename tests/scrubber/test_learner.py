"""What a bundle says of its own users, hosts and domains is learned, and nothing else is."""

from __future__ import annotations

import io
import random
import re
import tarfile

import pytest

from scrubber.dictionary import Dictionary
from scrubber.learner import Learner, load_origins

ORIGINS = load_origins()
EXAMPLES = [
    pytest.param(text, id=f"{origin.id}-{number}") for origin in ORIGINS for number, text in enumerate(origin.examples)
]
COUNTER = [
    pytest.param(text, id=f"{origin.id}-{number}")
    for origin in ORIGINS
    for number, text in enumerate(origin.counter_examples)
]
MARK = re.compile("⟦(.*?):(.*?)⟧", re.DOTALL)


def learned(text: str, name: str = "x.txt", *, accelerated: bool = True, compiled: bool = True) -> dict[bytes, str]:
    dictionary = Dictionary()
    member = Learner(dictionary, accelerated=accelerated, compiled=compiled).member(name)
    member.feed(text.encode())
    member.finish()
    return dict(dictionary.terms())


@pytest.mark.parametrize("accelerated", [True, False], ids=["vectorscan", "re"])
@pytest.mark.parametrize("text", EXAMPLES)
def test_example_is_learned(text, accelerated):
    """What is marked in an example is learned as what it is."""
    plain = MARK.sub(r"\2", text)
    wanted = {
        (value.lower().replace(",dc=", ".").encode(), kind.replace("dc", "domain").replace("shown", "host"))
        for kind, value in MARK.findall(text)
    }
    assert wanted <= set(learned(plain, accelerated=accelerated).items())


LINES = (
    "\n2026-11-22T01:02:03.123+01:00 {name} sshd[99]: x",
    "\n2026-11-22T01:02:03Z scheduler[{number}]: next",
    "\nNov 22 01:02:03 {name} kernel: x",
    "\n<34>1 2026-11-22T01:02:03Z {name} app 12 - -",
    "\n{user}:!!:19000:0:99999:7:::\n\n{user}:x:{number}:\n",
    "\n{user}  {number} 0.0  0.1 1 2 ? S",
    "\n{name}:/srv/x on /mnt type nfs4 (rw)",
    " ssh {user}@10.1.2.3 x {user}@10.1.2.{number} =KUNDE-{number}\\{user} (A\\b {user}",
)


@pytest.mark.parametrize("seed", range(2))
def test_texts_of_chance_teach_the_same_however_they_are_read(seed):
    """The compiled part, Vectorscan alone and `re` alone learn the same, line by line and anchor by anchor."""
    chance = random.Random(seed)
    texts = [MARK.sub(r"\2", str(each.values[0])) for each in (*EXAMPLES, *COUNTER)]
    pieces = [
        chance.choice(LINES).format(
            name=f"zeus{chance.randrange(30)}", user=f"amberg{chance.randrange(40)}", number=chance.randrange(5, 9000)
        )
        if chance.random() < 0.5
        else chance.choice(texts)
        for _ in range(400)
    ]
    text = "".join(pieces)
    told = learned(text)
    assert told
    assert told == learned(text, compiled=False) == learned(text, accelerated=False)


@pytest.mark.parametrize("text", COUNTER)
def test_counter_example_teaches_nothing(text):
    """System accounts, vendors, placeholders and ordinary words are not learned; an application's name stays."""
    assert {name: kind for name, kind in learned(text).items() if kind != "program"} == {}


@pytest.mark.parametrize("text", ['image: "{{ image }}"', "app: 5", "image: 7", "\nbuild-0a1b2c3d4e-x2x7p2 x"])
def test_what_is_no_application_is_not_learned_as_one(text):
    """Templates, numbers, and what only looks like a pod."""
    assert learned(text) == {}


def test_file_called_users_teaches_logins_only_where_it_is_a_list():
    """What `users` printed is a list of logins; a RADIUS server's file of that name is none."""
    config = b'bob Cleartext-Password := "x"\n\tService-Type = Framed-User\n'
    for text, known in ((b"mrossi anna.berg\n", {b"mrossi", b"anna.berg"}), (config, set())):
        dictionary = Dictionary()
        member = Learner(dictionary).member("raddb/users")
        member.know(text)
        member.conclude()
        assert {value for value, _ in dictionary.terms()} == known


MESSAGES = b"Nov 22 01:02:03 zeus7 sshd[9]: Accepted publickey for mrossi from 10.1.1.1 port 22\n"
TICKET = b"please look at zeus7, mrossi says; Zeus7 is in ZEUS7_old.log, nginx zeus70 is not\n"


def packed(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.uid, info.uname = len(data), 1001, "mrossi"
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def test_name_learned_in_one_member_goes_from_all_others(scrubbed):
    """What one member defines is replaced in members before it and after it, in names and in owners' fields."""
    out, report = scrubbed(packed({"zeus7/ticket.txt": TICKET, "var/log/messages": MESSAGES, "mrossi.txt": b"x\n"}))
    with tarfile.open(fileobj=io.BytesIO(out)) as tar:
        names, owners = tar.getnames(), {member.uname for member in tar}
        texts = [file.read() for name in names if (file := tar.extractfile(name))]
    whole = b"\n".join([*texts, *(name.encode() for name in names), *(owner.encode() for owner in owners)])
    assert b"mrossi" not in whole
    assert re.search(rb"(?i)zeus7\b|zeus7_", whole) is None
    assert b"zeus70" in whole
    host = re.search(rb"at (host-\w+),", whole)
    assert host is not None
    assert f"{host[1].decode()}/ticket.txt" in names
    assert report.counts["identity.host"] >= 4


def test_second_scrub_learns_nothing(scrubbed):
    """What was scrubbed names nobody any more."""
    once, _ = scrubbed(MESSAGES + TICKET)
    assert scrubbed(once) == (once, scrubbed(once)[1])
    assert scrubbed(once)[1].clean


def test_wide_text_is_learned_from(scrubbed):
    """Names are learned from UTF-16 as from any text."""
    out, _ = scrubbed((MESSAGES + TICKET).decode().encode("utf-16"))
    assert b"mrossi" not in out.decode("utf-16").encode()


@pytest.mark.parametrize("how", [{}, {"compiled": False}, {"accelerated": False}])
def test_of_what_is_told_as_two_things_the_first_counts(how):
    """Whoever reads, and in whatever order places are found: what is a domain here and a user there is the first."""
    mail, user = "mail to x@anna.berg sent", "arn:aws:iam::123456789012:user/anna.berg"
    assert learned(f"\n{mail}\n{user}\n", **how)[b"anna.berg"] == "domain"
    assert learned(f"\n{user}\n{mail}\n", **how)[b"anna.berg"] == "user"


@pytest.mark.parametrize(
    "text",
    [
        "image: registry.kunde-nord.de/{name}:2026.1\nDB_USERNAME={name}\n",
        "DB_USERNAME={name}\n\n{name}-api-6c9f7b8d5c-x2x7p   1/1   Running\n",
        "DB_USERNAME={name}\nspring:\n  application:\n    name: {name}-worker\n",
    ],
)
def test_login_that_is_called_after_the_application_is_nobodys(text):
    """Replaced everywhere, it would take the application's own name out of images, pods and packages."""
    assert learned(text.format(name="zeuslager"))[b"zeuslager"] == "program"


@pytest.mark.parametrize("name", ["mrossi", "annika"])
def test_login_of_a_persons_name_stays_one_whatever_is_called_so(name):
    """Who tries something out calls it after himself."""
    assert learned(f"app={name}\nUSER={name}\n")[name.encode()] == "user"
    assert learned(f"USER={name}\napp={name}-api\n")[name.encode()] == "user"
