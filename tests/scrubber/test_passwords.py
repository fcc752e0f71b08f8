"""Passwords that begin with any sign, or have one anywhere, as generators make them, in the places where they stand."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

SIGNS = "!@#$%^&*()_+?"
PLACES = {
    "properties": "db.password={}",
    "ini": "password = {}",
    "yaml": '  password: "{}"',
    "json": '{{"user": "bob", "password": "{}", "port": 5432}}',
    "xml": "<password>{}</password>",
    "toml": "password = '{}'",
    "log": "10:00:01 ERROR auth failed user=bob password={} host=db",
    "odbc": "Driver={{ODBC Driver 17}};Server=db;UID=bob;PWD={};Encrypt=yes",
    "mysql": "$ mysql -u bob -p'{}' -h db app",
    "sshpass": "$ sshpass -p '{}' ssh bob@db",
    "option": "$ tool --password '{}' --user bob",
    "sql": "CREATE USER 'bob'@'%' IDENTIFIED BY '{}';",
    "role": "ALTER ROLE bob WITH PASSWORD '{}';",
    "java": 'DriverManager.getConnection("jdbc:mysql://db/app", "bob", "{}");',
    "powershell": "$s = ConvertTo-SecureString '{}' -AsPlainText -Force",
    "netrc": "machine db login bob password {}",
    "mail": "the credentials are bob / {}",
}
FAMILIAR = ["$DB_PASSWORD", "$dbPassword1", "${DB_PASSWORD}", "$(cat secret)", "%PASSWORD%", "%s", "********"]


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("place", PLACES)
def test_a_password_goes_whole(scrubbed, place, sign):
    """Nothing of four characters is left of it, wherever the sign stands."""
    for password in (f"{sign}kY7Dcq4V", f"kY7Dcq{sign}4VmW", f"kY7Dcq4{sign}"):
        after = scrubbed(PLACES[place].format(password).encode() + b"\n")[0].decode()
        left = [password[at : at + 4] for at in range(len(password) - 3) if password[at : at + 4] in after]
        assert not left, after


def test_one_in_an_address_goes_whole(scrubbed):
    """Percent-encoded, as an address demands it."""
    for sign in SIGNS:
        password = quote(f"{sign}kY7Dcq4V{sign}", safe="")
        assert b"kY7D" not in scrubbed(f"at postgres://bob:{password}@db:5432/app up\n".encode())[0]


@pytest.mark.parametrize("value", FAMILIAR)
def test_what_stands_for_one_stays(scrubbed, value):
    """A variable, a command, a mask."""
    for place in ("properties", "json", "mysql", "sshpass", "sql", "netrc"):
        text = PLACES[place].format(json.dumps(value)[1:-1])
        if place != "netrc" or " " not in value:
            assert value in scrubbed(text.encode() + b"\n")[0].decode()


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("shift_jis", "設定の確認\nユーザー: tanaka\nパスワード: {}\n接続先はサーバーです。よろしくお願いします。\n"),
        ("shift_jis", "設定の確認\nﾊﾟｽﾜｰﾄﾞ：{}\n接続先はサーバーです。よろしくお願いします。\n"),  # noqa: RUF001 - as it is written there
        ("euc_jp", "設定の確認\nパスワードは{}です\n接続先はサーバーです。よろしくお願いします。\n"),
        ("gbk", "系统配置说明文件\n密码：{}\n请检查数据库服务器的连接设置\n"),  # noqa: RUF001 - as it is written there
        ("big5", "系統設定說明檔案\n密碼：{}\n請檢查資料庫伺服器的連線設定\n"),  # noqa: RUF001 - as it is written there
        ("euc_kr", "시스템 설정 안내 파일\n비밀번호: {}\n데이터베이스 서버 연결을 확인하십시오\n"),
        ("euc_kr", "시스템 설정 안내 파일\n암호: {}\n데이터베이스 서버 연결을 확인하십시오\n"),
        ("cp866", "Ошибка: доступ запрещён для пользователя\nПароль: {}\nпроверьте подключение к серверу\n"),  # noqa: RUF001 - as it is written there
        ("cp1251", "Настройки системы\nПароль: {}\nпроверьте подключение к серверу\n"),  # noqa: RUF001 - as it is written there
        ("koi8-r", "Настройки системы\nпароль = {}\nпроверьте подключение к серверу\n"),  # noqa: RUF001 - as it is written there
    ],
)
def test_one_goes_in_the_encodings_before_unicode(scrubbed, encoding, text):
    """Its word is known there too, and all else stays."""
    before, after = text.split("{}")
    made = scrubbed(text.format("geheim-12x").encode(encoding))[0]
    assert made.startswith(before.encode(encoding) + b"[password:")
    assert made.endswith(b"]" + after.encode(encoding))
