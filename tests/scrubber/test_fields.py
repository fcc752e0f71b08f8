"""What keys say of their values: every word of the lists is met where it stands before a value."""

import pytest

from scrubber.detector import Detector
from scrubber.logins import is_login
from scrubber.pseudonym import Pseudonymizer
from scrubber.rules import load_rules
from scrubber.words import load_words

VALUES = {
    "name": "Solveig Aasen",
    "street": "Lindenallee 14",
    "city": "Tromso",
    "zip": "70565",
    "house": "12 a",
    "birth": "1971-03-14",
    "national": "268115855823627",
    "passport": "C01X00T47",
    "licence": "B072RRE2I55",
    "plate": "KA-PA 777",
    "geo": "52.52437",
    "account": "1234987650",
    "phone": "030 55501177",
}
"""For each list of keys (rulesets/words-personal.yaml) a value that such a key can have."""


@pytest.mark.parametrize("kind", VALUES)
def test_every_key_of_the_lists_is_seen(kind):
    """A value goes whichever of the listed words its key is."""
    keys = sorted(word for word in load_words(f"keys_{kind}") if word.isascii())
    text = "".join(f'"{key}": "{VALUES[kind]}",\n' for key in keys).encode()
    found, _ = Detector(load_rules(), Pseudonymizer(bytes(32))).find(text)
    ends = {-end for _, _, end, _, _ in found}
    left = [
        key
        for key in keys
        if text.index(f'"{key}": "{VALUES[kind]}"'.encode()) + len(f'"{key}": "{VALUES[kind]}') not in ends
    ]
    assert left == []


@pytest.mark.parametrize("name", ["Kenji van-der-Meer", "Anna von-Berg"])
def test_particles_tied_by_hyphens_are_part_of_a_name(name):
    """A full name is one, too, where its particles are tied to it."""
    found, _ = Detector(load_rules(), Pseudonymizer(bytes(32))).find(f'employee: "{name}", phone: 1'.encode())
    assert [value for _, _, _, value, _ in found] == [name.encode()]


@pytest.mark.parametrize(
    ("header", "row", "kept"),
    [
        (
            "顧客番号,氏名,郵便番号,住所,電話番号,生年月日",
            "K-1001,藤井 治,047-0252,東京都新宿区西新宿2-8-1,070-7569-4362,1981-04-02",
            1,
        ),
        ("编号,姓名,手机号,地址,身份证号", "7001,王小明,13812345678,北京市朝阳区建国路1号,11010519491231002X", 1),
        ("번호,이름,휴대폰,주소", "12,김민준,010-2345-6789,서울특별시 강남구 테헤란로 1", 1),
        ("Код;Фамилия;Имя;Телефон;Адрес", "77;Иванов;Пётр;+7 495 123-45-67;ул. Ленина 5", 1),
    ],
    ids=["japanese", "chinese", "korean", "russian"],
)
def test_columns_in_other_scripts_are_known(header, row, kept, scrubbed):
    """A table says what its columns hold also where its head is in Japanese, Chinese, Korean or Cyrillic."""
    cut = ";" if ";" in header else ","
    out = scrubbed(f"{header}\n{row}\n{row}\n".encode(), "table.csv")[0].decode().splitlines()
    assert out[0] == header
    assert out[1].split(cut)[:kept] == row.split(cut)[:kept]
    assert not set(out[1].split(cut)[kept:]) & set(row.split(cut)[kept:])


def test_column_whose_name_has_a_comma_is_known(scrubbed):
    """Where semicolons part the columns, a comma may stand in a column's name."""
    row = "4412;Schottin, Mehmet;12.04.1981;60713844293;Stiebitzring 8;05474 Eisenberg"
    out = scrubbed(f"PersNr;Name, Vorname;Geb.-Datum;Steuer-ID;Straße Nr.;PLZ Ort\n{row}\n".encode(), "lohn.csv")[
        0
    ].decode()
    assert not set(out.splitlines()[1].split(";")[1:]) & set(row.split(";")[1:])


def test_login_of_a_letter_and_a_number_is_one():
    """Companies give out logins that could be hexadecimal; digests and longer numbers are none."""
    assert is_login(b"a684285")
    assert not is_login(b"a684285f")
    assert not is_login(b"deadbeef")
