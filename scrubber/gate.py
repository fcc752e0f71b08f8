"""What a key name and a value must be like for `key=value` to hold a secret.

This is where recall and harm meet: a strong name (password) is believed with any value that is not plainly a setting; a
weak one (token) needs a value that looks random.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache

from scrubber.checks import entropy
from scrubber.pseudonym import TAG
from scrubber.words import load_words


class Strength(IntEnum):
    """How far a key name is to be believed."""

    NONE = 0
    WEAK = 1
    CODE = 2  # a PIN or one-time password: digits alone
    MEDIUM = 3
    STRONG = 4


_STRONG = re.compile(
    r"pass(?:wor[dt]|wd|phrase|code)|pswd|passwrd|kennwort|losungswort|motdepasse|contrase|palavrapasse|wachtwoord|"
    r"l(?:o|ö)senord|"
    r"adgangskode|salasana|parola|has[lł]o|senha|heslo|jelsz|"
    r"secret|credential|apikey|appkey|apitoken|apisecret|accesskey|accountkey|sharedkey|masterkey|signingkey|encryptionkey|"
    r"privatekey|clientkeydata|storagekey|sharedaccesskey|securitykey|cryptkey|hmackey|deploykey|licen[sc]ekey|presharedkey|"
    r"(?:auth|access|refresh|id|session|bearer|security|user|bot|csrf|xsrf|jwt|oauth|personal|deploy|registry|vault|npm|pypi|slack|"
    r"github|gitlab|telegram|discord|bootstrap|join|admin|service|account|device|push|webhook|reset|verification)tokens?$|"
    r"bindpw|rootpw|userpw|adminpw|dbpw|ldappw|keypw|storepw|sharedaccesssignature|authkey|authpass|privpass|"
    r"wpapsk|wepkey|sessionkey|sessionid$|sessid$|jsessionid|phpsessid|xauthtoken"
)
_MEDIUM_LAST = frozenset(("pass", "pw", "pwd", "psk", "psw", "passw", "upass", "userpass", "dbpass", "clave"))
_WEAK_LAST = frozenset(("token", "tokens", "auth", "authorization", "session", "sid", "community", "cookie", "key"))
_CODE_LAST = frozenset(("pin", "otp", "totp", "mfacode", "tan"))
_PASS_ENDS = re.compile(r"(?:pass|pwd|psk|token)$")

# A name that ends so tells about a secret and holds none.
_ABOUT = load_words("about")
_ABOUT_STARTS = tuple(load_words("about_starts"))
_FALSE_KEYS = load_words("no_secret_keys")

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z\u00df-\uffff]+|[0-9]+")
_SETTINGS = frozenset(word.encode() for word in load_words("settings"))
_PLACEHOLDER = re.compile(
    rb"\$\{.*\}|\$\(.*\)|\{\{.*|\{%.*|<[^<>]*>|%\([\w.]+\)s|%[\w.]+%|%[sdv]|\$[A-Z_][A-Z0-9_]*|\$[a-z_]+(?:[.\->\[].*)?|"
    rb"@[\w.]+@|"
    rb"\{[\w.:]*\}|#\{.*\}|__\w+__|(?:your|my|the|some|insert|enter)[-_ ].*(?:here|password|token|key|secret)|"
    rb"\[?(?:redacted|masked|hidden|filtered|secret|"
    rb"protected|removed|omitted|scrubbed|sanitized|not ?set|not ?shown|sensitive)[\w ]*\]?|"
    rb"\(?(?:sensitive|redacted|hidden|masked|null|none|empty|unset)[\w ]*\)?|"
    rb"(?:vault|secretsmanager|ssm|kms|env|file|ref|arn)[:+]/?/?.*|ENC\[.*",
    re.IGNORECASE | re.DOTALL,
)
_CODE = re.compile(
    rb"[A-Za-z_$][\w$]*(?:\.[\w$]+|::\w+|->\w+)*\(.*|"
    rb"(?:self|this|os|args|opts|options|config|cfg|settings|params|process|request|req|ctx|env|data|kwargs|"
    rb"props|state|user|form|app)(?:\.|\[|->).*|(?:Optional|List|Union|Dict|Callable|Option|Vec|Array|Map)[\[<].*|"
    rb"[A-Za-z_]\w*\[[\"'\w]+\]|"
    rb"(?:await|new|function|lambda|return|typeof|if|not)\s.*|(?:=|!|>|<|~|&&|\|\|).*"
)
_PATH = re.compile(rb"(?:~|\.{1,2})?(?:/[\w.@%+\-]+)+/?|[A-Za-z]:\\[\w\\ .\-]+|file:/.*")
_URL = re.compile(rb"[a-z][a-z0-9+.\-]*://[^@\s]*", re.IGNORECASE)
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX = re.compile(rb"(?:0x)?[0-9a-fA-F]+")
_NUMBER = re.compile(rb"[+-]?[0-9]+(?:\.[0-9]+)?[a-z%]{0,2}")


@lru_cache(maxsize=16384)
def strength(name: bytes) -> Strength:  # noqa: PLR0911 - a table of refusals
    """Say how far the key *name* is to be believed."""
    text = name.decode("utf-8", "replace").strip("-. ")
    words = [word.lower() for word in _WORDS.findall(text)]
    while len(words) > 1 and (
        words[-1].isdigit()
        or words[-1] in ("value", "string", "str", "txt", "plain", "raw", "prod", "dev", "old", "new")
    ):
        words.pop()
    if not words:
        return Strength.NONE
    last, joined = words[-1], "".join(words)
    if last in _ABOUT and not joined.endswith(("sessionid", "secretid")):
        return Strength.NONE
    if joined.startswith(_ABOUT_STARTS) or joined.endswith(
        ("file", "path", "policy", "length", "url", "timeout", "enabled")
    ):
        return Strength.NONE
    if _STRONG.search(joined):
        return Strength.STRONG
    if last in _MEDIUM_LAST or (
        len(words) == 1 and _PASS_ENDS.search(last) and last not in ("bypass", "compass", "token", "trespass")
    ):
        return Strength.MEDIUM
    if last == "key" and (len(words) == 1 or words[-2] in _FALSE_KEYS):
        return Strength.NONE
    if last in _CODE_LAST:
        return Strength.CODE
    return Strength.WEAK if last in _WEAK_LAST else Strength.NONE


def is_secret(value: bytes, believed: Strength, *, quoted: bool, prose: bool) -> bool:  # noqa: PLR0911 - a table of refusals
    """Say whether *value* is a secret under a key of such strength.

    *prose* is where a colon and a space stand within running text ("password: incorrect for root").
    """
    value = value.strip()
    lower = value.lower()
    if not value or len(set(value)) == 1 or not value.strip(b"*xX.-_#?\xe2\x80\xa2") or TAG.search(value):
        return False
    if lower.rstrip(b".,;:!)") in _SETTINGS or _PLACEHOLDER.fullmatch(value):
        return False
    if (not quoted and _CODE.fullmatch(value)) or _URL.fullmatch(value):
        return False
    if _PATH.fullmatch(value) and not (len(value) > 30 and value.count(b"/") < 3 and entropy(value) > 4.2):
        return False
    mixed = re.search(rb"[0-9]", value) is not None and re.search(rb"[A-Za-z]", value) is not None
    if believed is Strength.STRONG:
        if prose:
            return mixed or re.search(rb"[!@#$%^&*+=~]", value) is not None or len(value) >= 16
        return quoted or not (_NUMBER.fullmatch(value) and len(value) < 4)
    if believed is Strength.MEDIUM:
        if _NUMBER.fullmatch(value):
            return quoted and len(value) >= 4
        return not prose or mixed
    if believed is Strength.CODE:
        return re.fullmatch(rb"[0-9]{4,8}", value) is not None
    return _looks_random(value, mixed=mixed)


def _looks_random(value: bytes, *, mixed: bool) -> bool:
    if b" " in value or len(value) < 8 or _UUID.fullmatch(value) or _NUMBER.fullmatch(value):
        return False
    if _HEX.fullmatch(value):
        return len(value) >= 16 and mixed
    return (mixed and entropy(value) >= 2.8) or (
        len(value) >= 16 and entropy(value) >= 3.5 and re.search(rb"[A-Z]", value) is not None
    )
