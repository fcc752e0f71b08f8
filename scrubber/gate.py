"""What a key name and a value must be like for `key=value` to hold a secret.

This is where recall and harm meet: a strong name (password) is believed with any value that is not plainly a setting; a
weak one (token) needs a value that looks random.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache

from scrubber.checks import entropy
from scrubber.hostnames import words as words_of
from scrubber.pseudonym import TAG
from scrubber.vocabulary import is_composed, is_vocabulary
from scrubber.words import load_words


class Strength(IntEnum):
    """How far a key name is to be believed."""

    NONE = 0
    WEAK = 1
    CODE = 2  # a PIN or one-time password: digits alone
    MEDIUM = 3
    STRONG = 4


_STRONG = re.compile(
    r"pass(?:wor[dt]|wd|phrase|code)|pswd|passwrd|secret(?!ar|smanager)|credential|"
    # The word in other languages, joined and in lower case; a letter lost to a wrong encoding is allowed for.
    r"kennwort|losungswort|zugangscode|motdepasse|contrase|contrasenya|palavrapasse|senha|wachtwoord|l.{1,2}senord|passord|"
    r"adgangskode|kodeord|lykilor|salas(?:ana|õna)|parol[aăeiuy]|has[lł][oa]|heslo|jelsz|lozink|zaporka|geslo|slaptažod|"
    r"[sş]ifre|parol\b|katasandi|katalaluan|mậtkhẩu|matkhau|парол|κωδικ|סיסמ|كلمة(?:ال)?(?:مرور|سر)|رمزعبور|पासवर्ड|"
    r"รหัสผ่าน|パスワード|パスフレーズ|暗証番号|密码|密碼|口令|비밀번호|암호$|schlüsselphrase|geheimnis|geheimschl|"
    r"(?:api|app|access|account|shared|master|signing|encryption|decryption|validation|private|storage|security|crypt|hmac|"
    r"deploy|licen[sc]e|auth|session|wep)key(?:s|data|pem|content|base64|b64|text|bytes|hex|secret)?$|apischl.{1,2}ssel|"
    r"clientkeydata|schl.{1,2}sselphrase|api.?schl.{1,2}ssel$|apitoken|sharedaccesskey|presharedkey|"
    r"(?:bind|root|user|admin|db|ldap|key|store|trust|sql|ftp|smtp|mail|ssh)pw$|"
    r"sharedaccesssignature|authpass|privpass|(?:auth|crypt|priv)phrase|krbprincipalkey|authpwd|privpwd|authcode|wpapsk|"
    r"snmpcommunity|ssws$|community(?:string|name)|(?:ro|rw|read|write|trap)community|"
    r"(?:session|php|jsession|asp|aspnet|web|user)?sess(?:ion)?id$|sessid$|jsessionid|phpsessid|xauthtoken|erlangcookie|"
    r"loggedinkey|noncekey|unsealkey|recoverycode|backupcode|activationcode|registrationcode|regcode$|verificationcode|authtok$|authdata$|serviceaccountkey|"
    r"autoregisterkey$|tokengenerationkey$|joinkey$|propskey$|bcode$|mysapsso2?$|loginpas$|"
    r"secure?string|passcodes?$|encryptionsalt$|encryptionhash$|authuserinfo$|hexkey$|keybase$|(?:bind|user|root|admin|ldap|smtp|mail|ftp|auth|login|proxy|wifi)pass$"
)
_MEDIUM_LAST = frozenset(
    (
        "pass",
        "pw",
        "pwd",
        "psk",
        "psw",
        "passw",
        "upass",
        "userpass",
        "dbpass",
        "clave",
        "salt",
        "community",
        "passkey",
        "pswd",
    )
)
_WEAK_LAST = frozenset(
    ("token", "tokens", "pepper", "auth", "authorization", "session", "sid", "cookie", "key", "signature", "jwt")
)
_CODE_LAST = frozenset(("pin", "otp", "totp", "mfacode", "tan", "puk", "mfa", "cvv", "cvc", "cvv2", "cvc2", "pincode"))
_PASS_ENDS = re.compile(r"(?:pass|pwd|psk|token|passwd|pw)$")
# Keys, tokens and secrets that are none: of an API's paging, a parser, a language model, names of objects.
_OPEN_TOKENS = load_words("open_tokens")
_OPEN_SECRETS = load_words("open_secrets")
_KEY_KINDS = load_words("secret_keys")

# A name that ends so tells about a secret and holds none.
_ABOUT = load_words("about")
_ABOUT_STARTS = tuple(load_words("about_starts"))
_FALSE_KEYS = load_words("no_secret_keys")

_LETTERS = "a-z\u00c0-\u1fff\u2c00-\u2fff\u3040-\ufaff\ufffd"  # no punctuation of any script
_WORDS = re.compile(rf"[A-Z]+(?![{_LETTERS}])|[A-Z]?[{_LETTERS}]+|[0-9]+")
SETTINGS = frozenset(word.encode() for word in load_words("settings"))
_PLACEHOLDER = re.compile(
    rb"\$\{.*\}|\$\(.*\)|\$\([a-z./]{2}.*|\{\{.*|\{%.*|<[^<>]*>|%\([\w.]+\)s|%[\w.]+%|%[sdv]|\$[a-z_]+(?:\.|->|\[).*|"
    rb"@{1,2}[\w.\-]+@{1,2}|%\{.*\}|\$\[\[?.*|\(\([\w.\-/]+\)?\)?|\$(?:env|script|global|using|private):\w+|ENC\(\$\{.*\}\)|"
    rb"(?:System\.getenv|os\.getenv|os\.environ|process\.env|getenv|ENV|env|Environment\.GetEnvironmentVariable)[.(\[].*|"
    rb"\*{2,}[A-Z ]{4,12}\*{2,}|\((?:not )?set\)?|"
    rb"\{[\w.]*(?:![rsa])?(?::[^{}]{0,16})?\}|(?:\{[\w.]{1,64}\}[:_./\- ]?){2,8}|#\{.*\}|__\w+__|"
    rb"(?:your|my|the|some|insert|enter)[-_ ].*(?:here|password|token|key|secret)|"
    rb"\[?(?:redacted|masked|hidden|filtered|secret|"
    rb"protected|removed|omitted|scrubbed|sanitized|not ?set|not ?shown|sensitive)[\w ]*\]?|"
    rb"\(?(?:sensitive|redacted|hidden|masked|null|none|empty|unset)[\w ]*\)?|"
    rb"(?:vault|secretsmanager|ssm|kms|env|file|ref|arn)[:+]/?/?.*|ENC\[.*",
    re.IGNORECASE | re.DOTALL,
)
_NAMED = re.compile(rb"\$(?P<name>[A-Za-z_]\w*)[\])]*")
_CALL = re.compile(rb"(?P<name>[A-Za-z_$][\w$]*(?:\.[\w$]+|::\w+|->\w+)*)\((?P<rest>.*)", re.DOTALL)
_CODE = re.compile(
    rb"(?:self|this|os|args|opts|options|config|cfg|settings|params|process|request|req|ctx|env|data|kwargs|"
    rb"props|state|user|form|app|input|body|event|row|obj|item|payload)(?:\.|\[|->).*|(?:Optional|List|Union|Dict|Callable|Option|Vec|Array|Map|"
    rb"dict|list|tuple|set|frozenset|type|Type|Tuple|Set|Literal|Final|ClassVar|Annotated|Sequence|Iterable|Mapping)[\[<].*|"
    rb"[A-Za-z_]\w*\[(?:[\"'\w]+\]?)?|/[\^\[(\\].*|"
    rb"(?:await|new|function|lambda|return|typeof|if|not)\s.*|lambda:.*|(?:=|!=|>|<|~|&&|\|\|).*|!\s*[A-Za-z_$.]+(?:[(\[].*)?"
)
_NOT_SECRET = re.compile(
    rb"S-1-[0-9]+(?:-[0-9]+)+|"  # a Windows SID
    rb"(?:sk-)?(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp[0-9]{3})(?:@openssh\.com)?(?:[ ]AAAA.*)?|"  # a public key
    rb"[\w=.]{0,24}\\(?:f[BIRPCW\[(]|[&(-]|\*[\[(]).*|"  # a font or a sign of troff's
    rb"[A-Z0-9]{8,24}/[0-9]{8}/[\w/\-]+|"  # the scope of a signature of AWS's
    rb"\$[A-Za-z_]\w*(?:::\w+|(?:/[\w.%+\-]+)+)#?|"  # of openssl.cnf's: $dir/private/cakey.pem
    rb"\*/|"  # the end of a comment
    rb"[a-z_]\w*(?:->[a-z_]\w*)+|[a-z_]{2,24}=|"  # a member of C's; the next key, without a value
    rb"![A-Za-z0-9+]{2,16}(?::[!+@\-]?[A-Za-z0-9+\-]{2,16}){1,40}|"  # the end of a list of ciphers: !PSK:!SRP:!kRSA
    rb"(?:filter|app|composite)_factory|"  # of Paste Deployment, behind a module: keystonemiddleware.auth_token:
    rb"[x*!]{1,2}:-?[0-9]{1,10}:.*|"  # the rest of a line of /etc/passwd or /etc/group
    rb"hmac-(?:md5|sha[0-9\-]{0,8})|inheritance-disable|no-export|no-advertise|local-as|"
    rb"\(?[0-9]{1,10}:[0-9]{1,10}(?:, ?[0-9]{1,10}:[0-9]{1,10})*\)?|"  # BGP communities
    rb"(?:target|origin|soo|rt|color|bandwidth|large):[0-9.]+:[0-9:]+|"
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]+(?:Z|[+-][0-9:]+)?)?|[0-9]{2}:[0-9]{2}(?::[0-9]{2})?|"
    rb"[0-9]{1,2}\.[0-9]{1,2}-(?:[0-9]{1,2}\.[0-9]{1,2})?|"  # since when, until when: 3.0-, 3.4-3.9
    rb"[\^~>=<]{0,2} ?v?[0-9]+(?:\.[0-9]+){1,3}(?:-[a-z]+(?:\.[0-9]+)?)?|[0-9]{1,5}/(?:tcp|udp|sctp)|exec:/.*|"
    rb"(?:var|local|data|module|each|path|self|secrets|inputs|steps|env|vars|values|context|params)\.[A-Za-z_][\w.\[\]\"'-]*|"
    rb"[a-z][a-z_]*(?:\.[a-z_]+){2,}|"  # a reference, as Terraform writes it
    rb"\(*(?:Read-Host|Get-\w+|ConvertTo-\w+|New-Object|Import-\w+|\[[\w.]+\]\S*)\)*(?:\s.*)?|:[a-z_]\w{0,40}|"
    rb"!(?:vault|Ref|Sub|ImportValue|secret|GetAtt|Join)\b.*|\(\(.*\)\)|ref\+\w+://.*|op://.*|"
    rb"\{\{?resolve:.*|\@Microsoft\.KeyVault.*|base64decode\(.*|sealed:.*"
)
_PATH = re.compile(rb"(?:~|\.{1,2})?(?:/[\w.@%+\-]+)+/?|[A-Za-z]:\\[\w\\ .\-]+|file:/.*")
_URL = re.compile(rb"[a-z][a-z0-9+.\-]*://[^@\s]*", re.IGNORECASE)
_CONNECTION = re.compile(
    rb"[a-z][a-z0-9+.\-]*://[^\s:@/]{0,128}:[^\s@/]{1,256}@[\w\[]|"
    rb"(?=[^=;\s]{2,40}=)[^\n]*;[ ]?(?:password|pwd|accountkey|sharedaccesskey)[ ]?=[^;]{2}",
    re.IGNORECASE,
)
"""A whole address or list of settings, with a password in it that says what it is."""
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX = re.compile(rb"(?:0x)?[0-9a-fA-F]+")
_NUMBER = re.compile(rb"[+-]?[0-9]+(?:\.[0-9]+)?[a-z%]{0,2}")


def strength(name: bytes) -> Strength:
    """Say how far the key *name* is to be believed."""
    known = _STRENGTHS.get(name)
    if known is None:
        if len(_STRENGTHS) >= _REMEMBERED:
            _STRENGTHS.clear()
        known = _STRENGTHS[name] = _strength(_LONG_NUMBER.sub(b"000", name))  # no word of any list has such a number
    return known


_REMEMBERED = 16_384
_STRENGTHS: dict[bytes, Strength] = {}
_LONG_NUMBER = re.compile(rb"[0-9]{3,}")


@lru_cache(maxsize=_REMEMBERED)
def _strength(name: bytes) -> Strength:  # noqa: PLR0911 - a table of refusals
    text = _OPTION.sub("", name.decode("utf-8", "replace")).strip("-. ")
    words = [word.lower() for word in _WORDS.findall(text)]
    while len(words) > 1 and (
        words[-1].isdigit()
        or words[-1] in ("value", "string", "str", "txt", "plain", "raw", "prod", "dev", "old", "new")
    ):
        words.pop()
    if not words:
        return Strength.NONE
    last, joined = words[-1], "".join(words)
    if (
        (last in _ABOUT and not joined.endswith(_IDS))
        or joined.startswith(_ABOUT_STARTS)
        or joined.endswith(_ABOUT_ENDS)
        or _OF_FILE.search(text)
    ):
        return Strength.NONE
    if _is_open(text, words, joined) or name in _NO_SECRETS:
        return Strength.NONE
    if _STRONG.search(joined):
        return Strength.STRONG
    if last in _MEDIUM_LAST or (len(words) == 1 and _PASS_ENDS.search(last) and last not in _FALSE_PASS):
        return Strength.MEDIUM
    if last in _CODE_LAST or joined.endswith("pincode"):
        return Strength.CODE
    if last in ("key", "keys") and words[-2] in _KEY_KINDS:
        return Strength.STRONG
    if last in ("token", "tokens") and len(words) > 1:
        return Strength.STRONG if last == "token" else Strength.WEAK
    return Strength.WEAK if last in _WEAK_LAST else Strength.NONE


_NO_SECRETS = frozenset((b"signingkey", b"user.signingkey"))
"""Keys that are known as they are written: git's, which names a public key."""
_OPTION = re.compile(r"\A-(?:D|P(?!(?i:ass|wd|sk|w\b|in\b|rivate|hrase)))(?=[A-Za-z])")  # of Java, of Gradle
_IDS = ("sessionid", "secretid", "sessid", "communityname", "securestring", "phpsessid", "encryptionhash")
_OF_FILE = re.compile(r"\w\.(?:xml|xsd|h|c|cc|cpp|py|sh|md|rst|txt|html|pot?|java|go|rs|rb|pl|pm|texi|tex|css|exp)\Z")
"""A name of a file, behind which a changelog says what was done to it: chpasswd.8.xml: Likewise."""
_ABOUT_ENDS = (
    "passwordage",
    "passwordcomplexity",
    "passwordhistory",
    "passwordlifetime",
    "file",
    "path",
    "policy",
    "length",
    "url",
    "timeout",
    "enabled",
    "maps",
    "hasher",
    "publickeytoken",
    "pscredential",
    "createcredential",
    "networkcredential",
    "passwordcredential",
    "passwordcredentials",
    "passwordauthentication",
    "modifycredential",
    "acctsessionid",
)
_FALSE_PASS = frozenset(("bypass", "compass", "token", "trespass", "overpass", "underpass"))


_PASSED_ON = frozenset(("fastcgi", "uwsgi", "scgi", "grpc", "memcached"))
"""nginx passes requests on by them: fastcgi_pass localhost:9000."""


def _is_open(text: str, words: list[str], joined: str) -> bool:
    """Say whether a key or token is one of a data structure, a page or a parser: primary_key, next_page_token."""
    last = words[-1]
    if len(words) > 1 and (words[0] in ("is", "has") or last == "t" or (text.startswith("no-") and words[0] == "no")):
        return True  # --no-sessionid; is_impersonated_credential; passwd_exec_t, a type of C's or SELinux'
    if last in ("key", "keys"):
        return len(words) == 1 or words[-2] in _FALSE_KEYS
    if last in ("token", "tokens"):
        return len(words) > 1 and words[-2] in _OPEN_TOKENS
    if last == "secret":
        return len(words) > 1 and words[-2] in _OPEN_SECRETS
    if last == "pass":
        return len(words) > 1 and words[-2] in _PASSED_ON
    return joined == "cookie" or words == ["signingkey"]  # of git: the identifier of a key


def is_secret(value: bytes, believed: Strength, *, quoted: bool, prose: bool) -> bool:  # noqa: PLR0911 - a table of refusals
    """Say whether *value* is a secret under a key of such strength.

    *prose* is where a colon and a space stand within running text ("password: incorrect for root").
    """
    value = value.strip()
    if _is_refused(value, quoted=quoted):
        return False
    if believed is Strength.STRONG:
        if prose:
            digits = value.isdigit() and len(value) >= 5
            return (
                _is_mixed(value)
                or digits
                or _is_scrambled(value)
                or _SIGN.search(value) is not None
                or len(value) >= 16
            )
        return quoted or len(value) >= 4 or _NUMBER.fullmatch(value) is None
    if believed is Strength.MEDIUM:
        if _NUMBER.fullmatch(value):
            return len(value) >= (4 if quoted else 6)
        return not prose or _is_mixed(value)
    if believed is Strength.CODE:
        return _CODE_VALUE.fullmatch(value) is not None
    return _looks_random(value)


_DIGIT, _LETTER, _CAPITAL = re.compile(rb"[0-9]"), re.compile(rb"[A-Za-z]"), re.compile(rb"[A-Z]")
_SIGN = re.compile(rb"[!@#$%^&*+=~]")
_CODE_VALUE = re.compile(rb"[0-9]{3,8}|[0-9]{3} [0-9]{3}|[A-Z2-7]{16,64}=*")
MASKS = (
    *(b"redacted", b"masked", b"hidden", b"filtered", b"secret", b"protected", b"removed", b"omitted", b"scrubbed"),
    *(b"sanitized", b"notset", b"notshown", b"sensitive", b"null", b"none", b"empty", b"unset"),
)
"""How `_PLACEHOLDER` lets a value of letters and digits alone begin."""


def _is_mixed(value: bytes) -> bool:
    return _DIGIT.search(value) is not None and _LETTER.search(value) is not None


def _is_scrambled(value: bytes) -> bool:
    """Say whether *value* is letters alone whose capitals are where no name of a program has them: smQIHLtCHKJ."""
    return len(_CHANGE.findall(value)) >= _MANY_CHANGES and value.isalpha() and not is_vocabulary(value)


_CHANGE = re.compile(rb"[a-z](?=[A-Z])|[A-Z](?=[a-z])")
_MANY_CHANGES = 4


def _is_refused(value: bytes, *, quoted: bool) -> bool:  # noqa: PLR0911 - a table of refusals
    """Say whether *value* is a setting, a placeholder, code or a place, whatever its key is called."""
    lower = value.lower()
    if not value or value.count(value[:1]) == len(value) or not value.strip(b"*xX.-_#?\xe2\x80\xa2"):
        return True
    if value.isalnum():  # nothing else below is letters and digits alone
        return lower in SETTINGS or lower.startswith(MASKS)
    if b"[" in value and TAG.search(value):
        return True
    if lower.rstrip(b".,;:!)") in SETTINGS:
        return True
    if _PLACEHOLDER.fullmatch(value) and not _ENCRYPTED.fullmatch(value):
        return True
    if _is_reference(value) or (not quoted and (_CODE.fullmatch(value) or _is_call(value))) or _URL.fullmatch(value):
        return True
    if _CONNECTION.match(value):  # its own secret is found by itself, and the rest of it stays
        return True
    if _NOT_SECRET.fullmatch(value) or _is_variable(value) or _is_member(value) or _is_sentence(value):
        return True
    return _PATH.fullmatch(value) is not None and not (
        len(value) > 30 and value.count(b"/") < 3 and entropy(value) > 4.2
    )


def _is_reference(value: bytes) -> bool:
    """Say whether *value* is a variable of a shell's, as $DB_PASSWORD; $kY7DcqV is a password."""
    found = _NAMED.fullmatch(value)
    return found is not None and _is_identifier(found["name"])


def _is_call(value: bytes) -> bool:
    """Say whether *value* is the beginning of a call: getPassword(user; `H7G$sviF(` and `b(5EPWPm^` are passwords."""
    found = _CALL.fullmatch(value)
    if found is None:
        return False
    name, rest = found["name"].lstrip(b"$"), found["rest"]
    is_whole = rest[:1] == b")" or rest.count(b")") == rest.count(b"(") + 1
    is_member = not _PLAIN_NAME.fullmatch(name)
    spoken = any(len(part) > _SHORT and is_composed(part.lower()) for part in _IDENTIFIER_PART.findall(name))
    named = _is_identifier(name) and (len(name) > 1 or not rest)
    return is_whole or is_member or spoken or named


def _is_identifier(name: bytes) -> bool:
    """Say whether *name* is one that a programmer gives: of words, with numbers at their ends alone."""
    parts = [part for part in _IDENTIFIER_PART.findall(name) if not part.isdigit()]
    if len(parts) == 1:
        return len(name) <= _SHORT_NAME or not _DIGIT_WITHIN.search(name)
    return all(len(part) > 1 for part in parts) and not _DIGIT_WITHIN.search(name)


_IDENTIFIER_PART = re.compile(rb"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|\$")
_PLAIN_NAME = re.compile(rb"[\w$]*")
_DIGIT_WITHIN = re.compile(rb"[0-9][A-Za-z]")
_SHORT, _SHORT_NAME = 3, 4


def _is_variable(value: bytes) -> bool:
    """Say whether *value* is a name that programs give to such things: client_token, _SOURCE_CREDENTIALS."""
    if _VARIABLE.fullmatch(value) is None:
        return False
    words = value.strip(b"_").lower().split(b"_")
    if value.isupper() and words[-1] in _SECRETS:
        return True  # TURNSERVER_PASSWORD, as an example has it
    known = words[-1] in words_of("variables") or not _SECRETS.isdisjoint(words)
    return known and all(map(is_composed, words))


def _is_member(value: bytes) -> bool:
    """Say whether *value* is a member of something that a program knows: InputKind.AFTER_RESULT, key.PublicKey."""
    return b"." in value and not value.islower() and is_vocabulary(value)


def _is_sentence(value: bytes) -> bool:
    """Say whether *value* is prose, such as what a program says of a class: with a full stop, or of several lines."""
    if value.count(b" ") < _LEAST_BLANKS or (value[-1:] != b"." and b"\n" not in value):
        return False
    words = _PROSE_WORD.findall(value)
    return 10 * sum(is_composed(word.lower()) for word in words) >= 7 * len(value.split())


_VARIABLE = re.compile(rb"_{0,2}[A-Za-z]+(?:_[A-Za-z]+)+_{0,2}")
_PROSE_WORD = re.compile(rb"(?<![\w.:])[A-Za-z]{1,24}(?![\w:])")
_LEAST_BLANKS = 4
_SECRETS = frozenset(
    b"token tokens credential credentials secret secrets key keys password passwords passwd pwd pass auth".split()
)
_ENCRYPTED = re.compile(rb"\{(?=[^{}]*[0-9])(?=[^{}]*[A-Z])(?=[^{}]*[a-z])[A-Za-z0-9+/]{16,}={0,2}\}")
"""What Jenkins and Maven write for a password: base64 in braces."""


def _looks_random(value: bytes) -> bool:
    if b" " in value or len(value) < 8 or _UUID.fullmatch(value) or _NUMBER.fullmatch(value) or is_vocabulary(value):
        return False
    mixed = _is_mixed(value)
    if _HEX.fullmatch(value):
        return len(value) >= 16 and mixed
    return (mixed and entropy(value) >= 2.8) or (
        len(value) >= 16 and entropy(value) >= 3.5 and _CAPITAL.search(value) is not None
    )
