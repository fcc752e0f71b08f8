"""Texts put together from what the compiled part decides about, in and out of the ordinary, and from noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

ADDRESSES = (
    b"10.20.30.40 10.0.0.1 192.168.4.5 172.16.9.9 172.40.1.1 100.64.3.2 100.128.3.2 169.254.1.1 "
    b"169.254.169.254 8.8.4.4 93.184.216.34 224.0.0.1 127.0.0.1 0.0.0.0 255.255.255.0 1.2.3.4 1.2.3.4.5 1.2.3 "
    b"300.1.1.1 01.2.3.4 10.2.0.0 84.17.0.0 10.1.1.1234 1234.1.1.1 5.6.7.8:443 10.9.8.7/24 10.20.30.40.514 "
    b"_1.2.3.4 1.2.3.4_ 10.1.1.256"
).split(b" ")
MACS = (
    b"00:1a:2b:3c:4d:5e 00:1A:2B:3C:4D:5F 00:1a:2b:3C:4d:60 ff:ff:ff:ff:ff:ff 00:00:00:00:00:01 "
    b"01:00:5e:00:00:fb 33:33:00:00:00:01 02:f0:12:34:56:78 00:1a:2b:3c:4d:5e:6f 00:1a:2b:3c:4d:5e:6 "
    b"aa:bb:cc:dd:ee:ff:00:11:22 MAC=00:1a:2b:3c:4d:5e:00:1a:2b:3c:4d:61:08:00 00-1a-2b-3c-4d-5e "
    b"001a.2b3c.4d5e 2a01:4f8::1 fe80::1 std::vector node:2a01:db8:1::7 a::b 12:34:56 1a:2b:3c:4d:5e"
).split(b" ")
MAILS = (
    b"anna.berg@kunde-nord.de Anna.Berg@Kunde-Nord.DE x@y git@kunde-nord.de:repo git@kunde-nord.de/x "
    b"a%40kunde-nord.de user-abcdefgh@dom-abcdefgh.example user-abcdefgh@kunde.example o'neil@kunde-nord.de "
    b"-x@kunde-nord.de .y@a.co a+b_c%d@mail.kunde-nord.co.uk @kunde-nord.de root@localhost x@10.20.30.40 "
    b"b@kunde-nord.de.txt icon@2x.png m\xc3\xbcller@kunde-nord.de a@openssh.com "
    b"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggg@a.de first.last@dom-abcdefgh.example "
    b"u@xn--bcher-kva.example.org u@a.b.c.d.e.f.g.h.i.de u@-a.de u@a-.de u@a..de"
).split(b" ")
NAMES = (
    b"amberg AMBERG Amberg x_amberg xamberg ambergx amberg-x web01 web01.site.kunde-nord.de web01.log "
    b"db.kunde-nord.de KUNDE-NORD.DE kunde-nord.de.example host-abcdefgh host web01-x dc=kunde-nord,dc=de "
    b"nordkap nordkap.local srv.nordkap.local nordkap.a.b org.nordkap.x 5bahn 5bAhn \\nweb01 %2Fweb01 "
    b"#012web01 \\u002fweb01 \\x2fweb01 \\namberg.kunde-nord.de dom-abcdefgh.example "
    b"web01.dom-abcdefgh.example Anna Berg Projekt-Falke a.b.c.d.e.f.kunde-nord.de -.kunde-nord.de "
    b"_x.kunde-nord.de \xe2\x80\x9camberg\xe2\x80\x9d \xe7\x94\xa8\xe6\x88\xb7amberg\xe7\x99\xbb "
    b"\xc2\xa0web01 amberg\xc2\xad \xf0\x9f\x98\x80amberg \xef\xbc\x9aweb01\xef\xbc\x8c"
).split(b" ")
JOINTS = (
    *(
        b" ",
        b"\n",
        b"\t",
        b",",
        b";",
        b":",
        b"=",
        b'"',
        b"'",
        b"(",
        b")",
        b"[",
        b"]",
        b"<",
        b">",
        b"{",
        b"}",
        b"/",
        b"-",
    ),
    *(
        b".",
        b"_",
        b"%",
        b"#",
        b"\\",
        b"@",
        b"",
        b"\0",
        b"\xff",
        b"\xc3\xa9",
        b"\xe2\x80\x99",
        b"\xe2",
        b"\xc2",
        b"\x80",
        b"+",
        b"~",
        b"^",
        b"|",
        b"v",
        b"x",
        b"7",
    ),
    *(
        b": ",
        b'": "',
        b'":"',
        b" = ",
        b" version ",
        b"version: ",
        b" from ",
        b" to ",
        b"ip=",
        b"id=",
        b"rel ",
        b"\r\n",
        b"https://",
    ),
    *(b"://app:pw9@", b" java.base@", b"jdk.x.y@", b"//", b"@/", b"e@", b"to/", b"a/"),
)
ALL = (*ADDRESSES, *MACS, *MAILS, *NAMES)
SECRETS = (
    b"password=geheim123",
    b"Authorization: Bearer 0123456789abcdef0123456789abcdef",
    b"https://bob:geheim99@10.1.2.3/x",
    b"[password:0123abcd]",
    b"Authorization: Bearer aaaaaaaaaaaaaaaaaaab",
    b"secret.AKIAIOSFODNN7EXAMPLF",
)
KEYS = (
    b"password passwd PASSWORD db_password token api_key API_TOKEN session_id pin auth secret secretName primary_key "
    b"next_page_token password_min_length x.y-password pwd psk client_secret otp sid salt key private_key user "
    b"-password --password env.password \xc3\xa9password ghp_token passwort"
).split(b" ")
VALUES = (
    b"geheim123 0123456789abcdef0123456789abcdef 0123456789abcdef abc true changeme redacted7 xxxxxxxx 12345678 123456 "
    b"1234 aaaaaaaa Zq7Yp2Wm9Kd4 5b70617373776f72643a3031323334353637385d W2FiY2RlZjpzZWNyZXQ6MDEyMzQ1Njdd null7 none "
    b"123456ab 12345a geheimnis 0x1234567890abcdef1234 Hidden99 VeryLongPasswordWithoutAnyDigitsInIt"
).split(b" ")
SIGNS = (
    *(
        b"=",
        b"=",
        b"=",
        b'="',
        b"='",
        b": ",
        b":",
        b'": "',
        b'":"',
        b'" : "',
        b"==",
        b" = ",
        b"=>",
        b"=${",
        b"=b'",
        b"%3D",
    ),
)
BEFORE_KEYS = (
    *(
        b"\n",
        b"\n",
        b" ",
        b'{"',
        b', "',
        b'"',
        b"\nexport ",
        b"\n# ",
        b"\n  ",
        b"2026 ",
        b"name=",
        b"key: ",
        b"\nset ",
        b"&",
    ),
)
AFTER_VALUES = (
    *(b"\n", b"\n", b" ", b'"', b"'", b'",', b"''", b" and more\n", b";", b",", b"&", b"\r\n", b"", b")", b"\t#x\n"),
)


def make_text(chance: random.Random, pieces: int) -> bytes:
    """Give a text of some *pieces*: what matters, what stands between, what is cut short, what is of chance."""
    made: list[bytes] = []
    for _ in range(pieces):
        kind = chance.randrange(12)
        if kind < 7:
            piece = chance.choice(ALL)
            if chance.random() < 0.1:
                piece = piece[chance.randrange(len(piece)) :]
            elif chance.random() < 0.1:
                piece = piece[: chance.randrange(len(piece))]
            elif chance.random() < 0.05:
                piece = piece.upper()
        elif kind == 7:
            piece = bytes(chance.choice(b"0123456789abcdef.:@%-_xX \n") for _ in range(chance.randrange(30)))
        elif kind == 8:
            piece = b".".join(b"%d" % chance.randrange(260) for _ in range(chance.randrange(2, 6)))
        elif kind == 9 and chance.random() < 0.3:
            piece = chance.choice(SECRETS)
        elif kind in {9, 10}:
            piece = b"".join(chance.choice(parts) for parts in (BEFORE_KEYS, KEYS, SIGNS, VALUES, AFTER_VALUES))
        else:
            piece = chance.choice((b"connection", b"accepted", b"line", b"2026-11-22T10:11:12Z", b"pool 7"))
        made += (piece, chance.choice(JOINTS) if chance.random() < 0.6 else b" ")
    return b"".join(made)
