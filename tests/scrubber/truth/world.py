"""One customer: its people, hosts, networks and domains, the same over all files of a tree."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.scrubber.truth.values import ipv6, like, mac, public_ipv4

if TYPE_CHECKING:
    from random import Random

_FIRST = [
    "Anneliese",
    "Jörg",
    "Friederike",
    "Matthias",
    "Saoirse",
    "Declan",
    "Imogen",
    "Rupert",
    "Agnieszka",
    "Zbigniew",
    "Ludmila",
    "Bohdan",
    "Giulia",
    "Alessandro",
    "Inés",
    "Joaquín",
    "Beatriz",
    "Thiago",
    "Océane",
    "Guillaume",
    "Solveig",
    "Torbjörn",
    "Aino",
    "Veikko",
    "Noor",
    "Pieter",
    "Priya",
    "Rahul",
    "Haruka",
    "Kenji",
    "Minseo",
    "Xiuying",
    "Chukwuemeka",
    "Amina",
    "Yusuf",
    "Leila",
    "Kayleigh",
    "Desmond",
    "Rosalind",
    "Theodore",
]
_LAST = [
    "Hagedorn",
    "Schmiedeknecht",
    "Übelacker",
    "Brinkmann",
    "O'Sullivan",
    "McAllister",
    "Featherstone",
    "Hollingsworth",
    "Kowalczyk",
    "Wiśniewska",
    "Novotná",
    "Shevchenko",
    "Bianchi",
    "Esposito",
    "Zambrano",
    "Etxeberria",
    "Figueiredo",
    "Nascimento",
    "Lefebvre",
    "Chevallier",
    "Bergström",
    "Haugland",
    "Virtanen",
    "Koskinen",
    "van-der-Meer",
    "Dijkstra",
    "Raghunathan",
    "Chatterjee",
    "Yamashita",
    "Nakagawa",
    "Hwang",
    "Okonkwo",
    "Adeyemi",
    "Karimov",
    "Haddad",
    "Whitcombe",
    "Thornbury",
    "Castellanos",
    "Grünwald",
    "Pfefferkorn",
]
_STREETS = (
    "Lindenstraße {n}", "Am Alten Markt {n}", "{n} Maple Grove Road", "{n} Kingfisher Close", "Hauptstr. {n}a",
    "{n} rue de la République", "Via Garibaldi {n}", "Calle de Alcalá {n}", "Keizersgracht {n}", "ul. Długa {n}",
    "{n} Wellington Street", "Storgatan {n}",
)  # fmt: skip
_TOWNS = (
    "80331 München", "20095 Hamburg", "Leeds LS1 4DY", "Portland, OR 97205", "75003 Paris", "20121 Milano",
    "28014 Madrid", "1015 CJ Amsterdam", "00-238 Warszawa", "111 22 Stockholm", "8001 Zürich", "Bristol BS1 5TR",
)  # fmt: skip
_SYLLABLES = [
    "kor",
    "vel",
    "tam",
    "bri",
    "nex",
    "lun",
    "dor",
    "fal",
    "gri",
    "sol",
    "mar",
    "tek",
    "zan",
    "ul",
    "wex",
    "pra",
    "hil",
    "bo",
    "rid",
    "cam",
]
_KINDS = ("gmbh", "group", "industries", "logistics", "bank", "health", "werke", "retail")
_ROLES = ("db", "app", "web", "mail", "dc", "fs", "bak", "mon", "jump", "k8s", "erp", "log")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody at the customer's."""

    first: str
    last: str
    login: str
    email: str
    phone: str
    street: str
    town: str
    birth: str
    sid: str

    @property
    def name(self) -> str:
        """Give first and last name."""
        return f"{self.first} {self.last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine of the customer's."""

    short: str
    fqdn: str
    ipv4: str
    ipv6: str
    mac: str


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The customer."""

    company: str
    domain: str
    internal: str
    netbios: str
    people: tuple[Person, ...]
    hosts: tuple[Host, ...]
    gateway: str
    public: tuple[str, ...]
    outside: tuple[str, ...]


def ascii_of(text: str) -> str:
    """Spell *text* as a login does."""
    text = text.replace("ß", "ss").replace("ö", "oe").replace("ü", "ue").replace("ä", "ae").replace("ł", "l")
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain.lower() if letter.isalnum())


def phone(rng: Random) -> str:
    """Give a telephone number that has its country code, in one of the usual spellings."""
    kind = rng.randrange(6)
    if kind == 0:
        return f"+49 89 {like(rng, '[1-9][0-9]{6}')}"
    if kind == 1:
        return f"+44 20 {like(rng, '[3-8][0-9]{3}')} {like(rng, '[0-9]{4}')}"
    if kind == 2:
        return f"+1 {like(rng, '[2-9][0-8][0-9]')}-{like(rng, '[2-9][0-9]{2}')}-{like(rng, '[0-9]{4}')}"
    if kind == 3:
        return f"+33 {rng.randint(1, 6)} " + " ".join(like(rng, "[0-9]{2}") for _ in range(4))
    if kind == 4:
        return f"+4917{like(rng, '[0-9]{9}')}"
    return f"+1 ({like(rng, '[2-9][0-8][0-9]')}) {like(rng, '[2-9][0-9]{2}')}-{like(rng, '[0-9]{4}')}"


def build_world(rng: Random) -> World:
    """Make up a customer."""
    company = "".join(rng.sample(_SYLLABLES, rng.randint(2, 3))) + rng.choice(["", "-" + rng.choice(_KINDS)])
    domain = company + rng.choice([".com", ".de", ".co.uk", ".net", ".eu", ".org", ".io", ".ch"])
    internal = rng.choice([
        f"corp.{domain}", f"int.{domain}", f"{company.split('-')[0]}.local", f"{company.split('-')[0]}.lan",
        f"ad.{domain}", f"prod.{company.split('-')[0]}.internal",
    ])  # fmt: skip
    style = rng.randrange(4)
    authority = "-".join(like(rng, "[1-9][0-9]{8,9}") for _ in range(3))
    people: list[Person] = []
    taken: set[str] = set()
    while len(people) < 14:
        first, last = rng.choice(_FIRST), rng.choice(_LAST)
        f, s = ascii_of(first), ascii_of(last)
        login = (f[0] + s, f"{f}.{s}", s[:6] + f[:2], "u" + like(rng, "[1-9][0-9]{5}"))[style]
        if login in taken or len(login) < 5:
            continue
        taken.add(login)
        people.append(Person(
            first=first, last=last, login=login, email=f"{f}.{s}@{domain}", phone=phone(rng),
            street=rng.choice(_STREETS).format(n=rng.randint(2, 198)), town=rng.choice(_TOWNS),
            birth=f"{rng.randint(1950, 2004)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
            sid=f"S-1-5-21-{authority}-{rng.randint(1103, 9999)}",
        ))  # fmt: skip
    net = rng.choice([f"10.{rng.randint(1, 254)}", f"172.{rng.randint(16, 31)}", "192.168"])
    thirds = rng.sample(range(1, 254), 3)
    site = rng.choice(["", rng.choice(["muc", "lon", "fra", "nyc", "ams"])])
    hosts: list[Host] = []
    for number, role in enumerate(rng.sample(_ROLES, 10)):
        short = rng.choice([f"{site}{role}{number + 1:02}", f"{site + '-' if site else ''}{role}-{number + 1:02}"])
        short = f"srv-{short}" if len(short) < 6 else short
        hosts.append(Host(
            short=short, fqdn=f"{short}.{internal}", ipv4=f"{net}.{rng.choice(thirds)}.{rng.randint(3, 250)}",
            ipv6=ipv6(rng), mac=mac(rng, "colon"),
        ))  # fmt: skip
    return World(
        company=company, domain=domain, internal=internal, netbios=company.split("-")[0].upper(), people=tuple(people),
        hosts=tuple(hosts), gateway=f"{net}.{thirds[0]}.1", public=tuple(public_ipv4(rng) for _ in range(12)),
        outside=tuple(
            f"{like(rng, '[a-z]{5,8}')}.{like(rng, '[a-z]{4,9}')}@{like(rng, '[a-z]{5,10}')}.{rng.choice(['com', 'org', 'fr', 'at'])}"
            for _ in range(8)
        ),
    )  # fmt: skip
