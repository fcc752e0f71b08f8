"""Random values of every kind, by the standards that define them; plain text, without labels."""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import re
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ATOM = re.compile(r"(\[[^\]]+\]|\\.|.)(?:\{(\d+)(?:,(\d+))?\})?")
_RANGE = re.compile(r"(.)-(.)")


def like(rng: Random, pattern: str) -> str:
    """Make a text from a small pattern: literals, classes such as `[a-f0-9]`, counts such as `{36}` and `{20,40}`."""
    made = []
    for atom, least, most in _ATOM.findall(pattern):
        count = rng.randint(int(least), int(most or least)) if least else 1
        if atom.startswith("["):
            letters = _letters(atom[1:-1])
            made.append("".join(rng.choice(letters) for _ in range(count)))
        else:
            made.append(atom.removeprefix("\\") * count)
    return "".join(made)


def _letters(inside: str) -> str:
    return _RANGE.sub(lambda m: "".join(map(chr, range(ord(m.group(1)), ord(m.group(2)) + 1))), inside)


def hexes(rng: Random, count: int) -> str:
    """Give *count* lower-case hexadecimal digits, with a letter and a digit among them."""
    while True:
        made = like(rng, f"[0-9a-f]{{{count}}}")
        if count < 4 or (re.search("[a-f]", made) and re.search("[0-9]", made)):
            return made


def uuid(rng: Random) -> str:
    """Give a random UUID (RFC 9562, version 4)."""
    h = hexes(rng, 32)
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{rng.choice('89ab')}{h[17:20]}-{h[20:]}"


def base62_crc32(body: str) -> str:
    """Give the six base62 digits of a body's CRC-32, as GitHub and npm append them."""
    number, made = binascii.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        made = BASE62[digit] + made
    return made


def luhn_digit(digits: str) -> str:
    """Give the check digit that completes *digits* (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


_CARDS = (("4", 16), ("51", 16), ("52", 16), ("55", 16), ("34", 15), ("37", 15), ("6011", 16), ("2221", 16))


def card(rng: Random, separator: str | None = None) -> str:
    """Give a payment card number that passes Luhn's check."""
    prefix, length = rng.choice(_CARDS)
    body = prefix + like(rng, f"[0-9]{{{length - 1 - len(prefix)}}}")
    number = body + luhn_digit(body)
    between = rng.choice(["", " ", "-"]) if separator is None else separator
    cuts = (4, 10, 15) if length == 15 else (4, 8, 12, 16)
    return between.join(number[a:b] for a, b in zip((0, *cuts[:-1]), cuts, strict=True))


def not_a_card(rng: Random) -> str:
    """Give sixteen digits that fail Luhn's check: an order number."""
    body = rng.choice(["4", "5", "6", "9"]) + like(rng, "[0-9]{14}")
    return body + str((int(luhn_digit(body)) + rng.randint(1, 9)) % 10)


_IBANS = {
    "DE": "[0-9]{18}",
    "AT": "[0-9]{16}",
    "CH": "[0-9]{17}",
    "FR": "[0-9]{23}",
    "ES": "[0-9]{20}",
    "GB": "[A-Z]{4}[0-9]{14}",
    "NL": "[A-Z]{4}[0-9]{10}",
    "BE": "[0-9]{12}",
    "PL": "[0-9]{24}",
    "SE": "[0-9]{20}",
    "IT": "[A-Z]{1}[0-9]{22}",
}


def iban(rng: Random, *, spaced: bool | None = None) -> str:
    """Give an account number whose check digits are right (ISO 13616)."""
    country = rng.choice(sorted(_IBANS))
    body = like(rng, _IBANS[country])
    as_number = "".join(str(int(letter, 36)) for letter in body + country + "00")
    number = f"{country}{98 - int(as_number) % 97:02}{body}"
    if rng.random() < 0.4 if spaced is None else spaced:
        return " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    return number


def ssn(rng: Random) -> str:
    """Give a US social security number that could have been assigned."""
    area = rng.choice([n for n in range(1, 773) if n != 666])
    return f"{area:03}-{rng.randint(1, 99):02}-{rng.randint(1, 9999):04}"


def steuer_id(rng: Random) -> str:
    """Give a German tax identification number: eleven digits, one of the first ten twice (ISO 7064 MOD 11,10)."""
    digits = rng.sample(range(10), 9)
    digits.insert(rng.randrange(1, 9), digits[rng.randrange(9)])
    if digits[0] == 0:
        digits[0] = next(d for d in range(1, 10) if d not in digits)
    product = 10
    for digit in digits:
        total = (digit + product) % 10 or 10
        product = total * 2 % 11
    return "".join(map(str, digits)) + str((11 - product) % 10)


def nino(rng: Random) -> str:
    """Give a British national insurance number."""
    a, b = rng.choice("ABCEGHJKLMNPRSTWXYZ"), rng.choice("ABCEGHJKLMNPRSTWXYZ")
    if a + b in {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"}:
        return nino(rng)
    n = like(rng, "[0-9]{6}")
    return rng.choice([f"{a}{b}{n}{{}}", f"{a}{b} {n[:2]} {n[2:4]} {n[4:]} {{}}"]).format(rng.choice("ABCD"))


def dni(rng: Random) -> str:
    """Give a Spanish DNI: eight digits and the letter that checks them."""
    number = rng.randint(10_000_000, 99_999_999)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def nir(rng: Random) -> str:
    """Give a French NIR: thirteen digits and a key."""
    body = (
        f"{rng.randint(1, 2)}{rng.randint(50, 99)}{rng.randint(1, 12):02}{rng.randint(1, 95):02}{like(rng, '[0-9]{6}')}"
    )
    return f"{body}{97 - int(body) % 97:02}"


def pesel(rng: Random) -> str:
    """Give a Polish PESEL."""
    body = f"{rng.randint(50, 99)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}{like(rng, '[0-9]{4}')}"
    total = sum(int(d) * w for d, w in zip(body, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3), strict=True))
    return body + str(-total % 10)


def cpf(rng: Random) -> str:
    """Give a Brazilian CPF with its usual punctuation."""
    digits = [rng.randint(0, 9) for _ in range(9)]
    for start in (10, 11):
        rest = sum(d * w for d, w in zip(digits, range(start, 1, -1), strict=True)) * 10 % 11
        digits.append(rest % 10)
    d = "".join(map(str, digits))
    return f"{d[:3]}.{d[3:6]}.{d[6:9]}-{d[9:]}"


def codice_fiscale(rng: Random) -> str:
    """Give an Italian tax code with its check letter."""
    body = (
        like(rng, "[BCDFGLMNPRST]{6}")
        + f"{rng.randint(50, 99)}"
        + rng.choice("ABCDEHLMPRST")
        + f"{rng.randint(1, 28):02}"
        + rng.choice("AFHL")
        + like(rng, "[0-9]{3}")
    )
    odd = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]
    total = 0
    for place, letter in enumerate(body):
        value = int(letter) if letter.isdigit() else ord(letter) - 65
        total += odd[value] if place % 2 == 0 else value
    return body + chr(65 + total % 26)


def personnummer(rng: Random) -> str:
    """Give a Swedish personal number with its Luhn digit."""
    body = f"{rng.randint(50, 99)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}{like(rng, '[0-9]{3}')}"
    return f"{body[:6]}-{body[6:]}{luhn_digit(body)}"


NATIONALS = (
    ("ssn", ssn), ("social_security_number", ssn), ("steuer_id", steuer_id), ("national_insurance_number", nino),
    ("nino", nino), ("dni", dni), ("numero_securite_sociale", nir), ("pesel", pesel), ("cpf", cpf),
    ("codice_fiscale", codice_fiscale), ("personnummer", personnummer),
)  # fmt: skip
"""National numbers with the column that usually holds them."""


def public_ipv4(rng: Random) -> str:
    """Give an address that a customer may have on the Internet."""
    first = rng.choice([31, 46, 62, 77, 80, 81, 84, 87, 91, 93, 109, 134, 145, 151, 176, 185, 193, 194, 212, 213, 217])
    return f"{first}.{rng.randint(1, 254)}.{rng.randint(0, 255)}.{rng.randint(2, 253)}"


def ipv6(rng: Random) -> str:
    """Give a global, unique local or link-local address in one of its usual spellings."""
    kind = rng.randrange(4)
    if kind == 0:
        return f"fe80::{hexes(rng, 4)}:{rng.choice('02468ace')}{hexes(rng, 1)}ff:fe{hexes(rng, 2)}:{hexes(rng, 4)}"
    if kind == 1:
        return f"fd{hexes(rng, 2)}:{hexes(rng, 4)}:{hexes(rng, 4)}:{rng.randint(1, 99)}::{rng.randint(2, 240)}"
    prefix = rng.choice(["2a02:8108", "2a01:4f8", "2003:e4", "2604:a880", "2a00:1450"])
    rest = ":".join(f"{rng.randint(1, 65535):x}" for _ in range(6))
    address = ipaddress.IPv6Address(f"{prefix}:{rest}")
    return address.exploded if rng.random() < 0.2 else address.compressed


def mac(rng: Random, form: str | None = None) -> str:
    """Give a globally unique unicast address, in one of five notations."""
    first = rng.choice(["00", "3c", "52", "a4", "d8", "f0", "b8", "08"])
    h = first + hexes(rng, 10)
    form = form or rng.choice(["colon", "colon", "colon", "dash", "dots", "COLON"])
    if form == "dots":
        return f"{h[:4]}.{h[4:8]}.{h[8:]}"
    joined = ("-" if form == "dash" else ":").join(h[at : at + 2] for at in range(0, 12, 2))
    return joined.upper() if form in {"dash", "COLON"} else joined


_WORDS = [
    "winter",
    "sommer",
    "garden",
    "falcon",
    "purple",
    "monkey",
    "dragon",
    "welcome",
    "bulldog",
    "orange",
    "copper",
    "galaxy",
    "rocket",
    "velvet",
    "tiger",
    "maple",
    "harbor",
    "anchor",
    "pepper",
    "summit",
    "glacier",
    "meadow",
    "thunder",
]
_PUNCTUATION = "!$%&/?*+#-_.,;@^~="


def password(rng: Random, *, safe: bool = False) -> str:
    """Give what people use: generated ones, words with a year, phrases, digits; *safe* needs no quoting anywhere."""
    kind = rng.randrange(8)
    word = rng.choice(_WORDS)
    if kind == 0:
        return like(rng, "[A-Za-z0-9]{12,24}")
    if kind == 1:
        return f"{word.capitalize()}{rng.randint(1998, 2026)}" + ("" if safe else rng.choice("!$#*"))
    if kind == 2:
        return "-".join(rng.sample(_WORDS, 3)) + str(rng.randint(1, 99))
    if kind == 3:
        return hexes(rng, rng.choice([16, 24, 32]))
    if kind == 4:
        return f"{word}{rng.randint(10, 9999)}"
    if kind == 5 and not safe:
        letters = string.ascii_letters + string.digits + "!$%*+-_.@^~"
        return rng.choice(string.ascii_letters) + "".join(rng.choice(letters) for _ in range(rng.randint(9, 18)))
    if kind == 6:
        swaps = str.maketrans("aeios", "43105")
        return (
            rng.choice(_WORDS).capitalize().translate(swaps) + rng.choice(_WORDS).capitalize() + str(rng.randint(1, 9))
        )
    return like(rng, "[A-Z][a-z]{5}[0-9]{3}[A-Z][a-z]{3}")


def odd_password(rng: Random) -> str:
    """Give one with punctuation that a format must quote (no quotes, no backslash, no comma)."""
    return rng.choice(_WORDS).capitalize() + rng.choice("!$%&*+#") + like(rng, "[A-Za-z0-9]{5}") + rng.choice("!?#&")


_CRYPT = "./" + BASE62


def crypt_hash(rng: Random) -> str:
    """Give a password hash as passwd, htpasswd, databases and directories hold it."""

    def salted(pattern: str) -> str:
        return "".join(
            "".join(rng.choice(_CRYPT) for _ in range(int(part[1:]))) if part.startswith("~") else part
            for part in pattern.split("|")
        )

    kind = rng.randrange(9)
    if kind == 0:
        return salted("$6$|~16|$|~86")
    if kind == 1:
        return salted("$5$|~12|$|~43")
    if kind == 2:
        return salted(f"$2{rng.choice('aby')}$1{rng.randint(0, 2)}$|~53")
    if kind == 3:
        return salted("$y$j9T$|~22|$|~43")
    if kind == 4:
        return salted("$1$|~8|$|~22")
    if kind == 5:
        return salted("$apr1$|~8|$|~22")
    if kind == 6:
        body = base64.b64encode(rng.randbytes(28)).decode()
        return "{SSHA}" + body
    if kind == 7:
        salt, made = (base64.b64encode(rng.randbytes(n)).decode().rstrip("=") for n in (16, 32))
        return f"$argon2id$v=19$m=65536,t=3,p=4${salt}${made}"
    salt = base64.b64encode(rng.randbytes(12)).decode()
    return f"pbkdf2_sha256$600000${like(rng, '[A-Za-z0-9]{22}')}${base64.b64encode(rng.randbytes(32)).decode()}"


def unix_hash(rng: Random) -> str:
    """Give one that crypt(5) writes into shadow."""
    while not (made := crypt_hash(rng)).startswith(("$6$", "$5$", "$2", "$y$", "$1$")):
        pass
    return made


def digest(rng: Random, name: str = "sha256") -> str:
    """Give the digest of something."""
    return hashlib.new(name, rng.randbytes(16), usedforsecurity=False).hexdigest()


def b64(rng: Random, size: int) -> str:
    """Give *size* random bytes in base64."""
    return base64.b64encode(rng.randbytes(size)).decode()


def jwt(rng: Random, subject: str) -> str:
    """Give a JSON Web Token (RFC 7519) with a random signature."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    alg = rng.choice(["RS256", "HS256", "ES256"])
    head = part(f'{{"alg":"{alg}","typ":"JWT","kid":"{hexes(rng, 8)}"}}'.encode())
    body = part(f'{{"sub":"{subject}","iat":{rng.randint(1_700_000_000, 1_790_000_000)},"scope":"api read"}}'.encode())
    return f"{head}.{body}.{part(rng.randbytes(32 if alg != 'RS256' else 128))}"
