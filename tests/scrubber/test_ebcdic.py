"""EBCDIC: read as what it is, in whatever code page, and nothing else is taken for it."""

from __future__ import annotations

import random

import pytest

from scrubber.ebcdic import FROM_ASCII, TO_ASCII, tell_ebcdic
from scrubber.sniff import Kind, sniff

LOG = (
    "JES2 JOB LOG -- SYSTEM SYS1 -- NODE N1\n"
    "USER=JSMITH PASSWORD=Tr0ub4dor&3xq GROUP=SYSPROG\n"
    "mail from john.smith@acme-corp.com host 10.45.12.9 connected\n"
    "IEF403I PAYROLL - STARTED - TIME=12.00.01 BY JSMITH\n"
)
SECRETS = ("Tr0ub4dor", "john.smith", "10.45.12.9", "JSMITH")


@pytest.mark.parametrize("page", ["cp037", "cp500", "cp1140", "cp273", "cp1026"])
@pytest.mark.parametrize("line_break", [0x15, 0x25])
def test_text_of_any_code_page_is_scrubbed(scrubbed, page, line_break):
    """Secrets and names go, also a name learned elsewhere in the text; lines and all other words stay."""
    log = LOG
    sent = log.encode(page).replace(b"\x25", bytes([line_break]))
    made, _ = scrubbed(sent)
    text = made.replace(bytes([line_break]), b"\x25").decode(page)
    assert not [secret for secret in SECRETS if secret in text]
    assert made.count(line_break) == log.count("\n")
    assert "IEF403I PAYROLL - STARTED - TIME=12.00.01 BY USER-" in text
    assert scrubbed(made)[0] == made


@pytest.mark.parametrize(("at", "page"), [(0x44, "297"), (0x80, "277"), (0xEC, "278"), (0xAC, "871"), (0xB5, "280")])
def test_mail_is_found_wherever_a_page_has_its_sign(scrubbed, at, page):
    """An address goes in pages that Python does not know, too, and their other letters come back as they were."""
    sent = LOG.encode("cp037").replace(b"\x7c", bytes((at,))) + b"\x7c\x4a\x5a" * 3
    made, _ = scrubbed(sent)
    assert "john.smith".encode("cp037") not in made, page
    assert bytes((at,)) in made
    assert made.endswith(b"\x7c\x4a\x5a" * 3)
    assert scrubbed(made)[0] == made


def test_records_keep_their_length(scrubbed):
    """A file of fixed records, without an end of a line, stays one: each begins where it began."""
    records = [line.ljust(80) for line in LOG.splitlines()] * 20
    sent = "".join(records).encode("cp037")
    made, _ = scrubbed(sent)
    assert len(made) == len(sent)
    assert made[3 * 80 :].decode("cp037").startswith("IEF403I PAYROLL")
    assert not [secret for secret in SECRETS if secret in made.decode("cp037")]


def test_every_byte_comes_back():
    """Both tables are turned into ASCII's order and back without loss."""
    whole = bytes(range(256))
    for kind, there in TO_ASCII.items():
        assert whole.translate(there).translate(FROM_ASCII[kind]) == whole
    assert TO_ASCII["ebcdic"][0x15] == TO_ASCII["ebcdic-lf"][0x25] == 0x0A


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("gb18030", "系统日志:用户登录失败,请检查密码并重试。连接到数据库服务器超时"),
        ("big5", "系統日誌:使用者登入失敗,請檢查密碼並重試。連線到資料庫伺服器逾時"),
        ("shift_jis", "システムログ:ユーザーのログインに失敗しました。パスワードを確認してください"),
        ("euc_kr", "시스템 로그: 사용자 로그인에 실패했습니다. 비밀번호를 확인하십시오"),
        ("cp1251", "Системный журнал: пользователь не вошёл, проверьте пароль и повторите попытку"),
        ("koi8-r", "Системный журнал: пользователь не вошёл, проверьте пароль и повторите попытку"),
        ("cp866", "Системный журнал: пользователь не вошёл, проверьте пароль и повторите попытку"),
        ("latin-1", "Größe überschritten, Verbindung geschlossen: später noch einmal versuchen"),
        ("utf-8", "Größe überschritten: システムログ, 系统日志, Системный журнал"),
    ],
)
def test_other_text_is_not_taken_for_it(encoding, text):
    """Neither with line breaks and blanks nor without any."""
    assert tell_ebcdic((text + "\n").encode(encoding) * 9) is None
    assert tell_ebcdic(text.replace(" ", "").encode(encoding) * 9) is None


def test_data_are_not_taken_for_it():
    """Random, repeated and short data, and a text that is too short to tell."""
    chance = random.Random(5)
    for size in (64, 1000, 65536):
        assert tell_ebcdic(chance.randbytes(size)) is None
        assert tell_ebcdic(b"\x40" * size) is None
        assert tell_ebcdic(bytes(chance.randrange(0x40, 0x100) for _ in range(size))) is None
    assert tell_ebcdic("USER=JSMITH".encode("cp037")) is None
    assert sniff(LOG.encode("cp037"))[0] is Kind.EBCDIC_LF
