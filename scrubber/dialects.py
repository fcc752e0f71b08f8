"""The dialects in which a key and its value are written, one expression each."""

from __future__ import annotations

import re

MAX_VALUE = 2048
KEY_BACK = 64
LINE_BACK = 256
KEY_CHARS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-" + bytes(range(0x80, 0x100))

SPACE = rb"(?:[ \t]|\xc2\xa0|\xe2\x80\xaf|\xe3\x80\x80)"  # also what French and Japanese writers put before a colon
_KEY_MORE = rb"(?: (?:(?<!igning )key|secret|token|string|code|de passe|phrase)\b)?"
KEY_RIGHT = re.compile(
    rb"(?:[A-Za-z0-9_.\-]|(?!\xef\xbc[\x9a\x9d]|\xc2[\xa0\xab\xbb]|\xe2\x80|\xe3\x80[\x80-\x91])[\x80-\xff]){1,64}"
    + _KEY_MORE,
    re.IGNORECASE,
)
KEY_RIGHT_PLAIN = re.compile(rb"[A-Za-z0-9_.\-]{1,64}(?![A-Za-z0-9_.\-\x80-\xff])" + _KEY_MORE, re.IGNORECASE)
"""What `KEY_RIGHT` matches, for names of ASCII alone: in a third of the time."""
QUOTE = rb"\\{0,7}[\"'`]|&quot;|&\#(?:3[49]|x2[27]);|&apos;|%22|%27"
_BOLD = rb"(?:\*\*|__|</(?:b|strong|em|th|td|dt|label|span)>)"
_TYPE = rb"(?:str|[sS]tring|bytes|SecretStr|any|Optional\[str\]|&(?:'static )?str)(?:[ ]?\|[ ]?[a-zA-Z]{4,9}|\?)?"
SEPARATOR = re.compile(
    rb"(?P<close>"
    + QUOTE
    + rb")?(?:\]|\[[0-9A-Z_]{0,16}\](?=[ ]?=[ ]?\"))?(?:"
    + _BOLD
    + rb"(?=[ ]?[:=]))?"
    + SPACE
    + rb"{0,40}(?:\.{2,60}[ \t]{0,4}(?=:))?"
    rb"(?P<op>:=|=>|={1,3}|!={1,2}(?=[ ]?[\"'])|\?=|:[ ]?" + _TYPE + rb"[ ]?=(?!=)|:(?!:)|::(?=[ \t][A-Za-z0-9+/]{4})|"
    rb"%3[AaDd]|&\#61;|\\u003[dD]|\\:|\xef\xbc[\x9a\x9d]|\((?=[\"'])|;s:[0-9]{1,5}:(?=\")|As String[ ]?=|"
    rb"REG_(?:EXPAND_|MULTI_)?SZ(?=[ \t])|(?:\|\||\?\?|or)(?=[ ]?[\"'][^\s\"']{4,512}[\"'])|"
    rb"(?<=[ \t])(?:->|\|)(?=[ \t]))"
    rb"(?:" + _BOLD + rb"(?=\s))?" + SPACE + rb"{0,40}"
    rb"(?:\r?\n[ \t]{1,40}(?=[\"']|string\())?(?:string\([0-9]{1,5}\)[ ](?=\"))?"
    rb"(?:&[\w\-]{1,32}[ ](?=\S)|!!(?:str|binary)[ ](?=\S))?"
)
NO_SEPARATOR = re.compile(rb"[ ](?:[0-9a-np-zB-QS-Z]|o(?!r[ ]))")
"""A word behind a key's name, which is known at once to be no separator."""
TYPE_GIVEN = re.compile(rb":[^=]|As ")
CELL_BEFORE = re.compile(rb"(?:\A|\n)[ \t]*(?:\|[ \t]*)?[\"'`]?\Z")
"""What stands before the first cell of a table's row."""
ELSEWHERE = re.compile(rb"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|\.{0,2}/.*|[\w.\-]{0,16}/[\w.\-]{0,16}")
"""What an arrow points to that is no value: a member, a link's target."""
UNSURE = frozenset((b"->", b"|"))
"""Operators that stand amid prose and code too: what follows must look like a secret."""
QUOTED = {
    b'"': re.compile(rb'(?:[^"\\\n]|\\.){0,2048}(?=")'),
    b"'": re.compile(rb"(?:[^'\\\n]|\\.|''){0,2048}(?=')"),
    b"`": re.compile(rb"[^`\n]{0,2048}(?=`)"),
}
OPEN = re.compile(rb"(?P<mark>" + QUOTE + rb")")
MARKED = re.compile(
    rb"(?:[NbruUBRf@]|<<|@\$?|(?:new )?"
    rb"(?:Some|Ok|Just|Optional|Secret(?:Str|String|Bytes)?|Password|String(?:::from)?|str|quote|sensitive|"
    rb"(?:MD5|SHA1|SHA2|PASSWORD|ENCRYPT|md5|sha1|sha256|crypt|password_hash)(?=\([\"'][^\"'\n]{4,128}[\"'][,)]))\()"
    rb"(?P<mark>[\"'])"
)
"""A literal with what says its kind before it, SQL's N'…', Python's b'…', C#'s @"…", Erlang's <<"…">>, or
Rust's Some("…"), SQL's MD5('…')."""
_ENDS = rb"\s|$|[\"'\\<)}\],;]|"
INLINE = re.compile(
    rb"(?:[^\s\"'`<>,;&|)}\]\\]|\\(?![\"'nrt])|"
    rb"[,&|)}\]](?!" + _ENDS + rb"(?<=\))\(|[\w.\-\[\]%]{1,48}\s?[=:])|"
    rb";(?!" + _ENDS + rb"[\w.\-\[\]%]{1,48}(?:[ ][\w.\-]{1,24}){0,2}\s?[=:])){1,1024}"
)
INLINE_PLAIN = re.compile(rb"[^\s\"'`<>,;&|)}\]\\]{1,1024}(?=[\s\"'`<>])")
"""What `INLINE` matches, for values whose end is beyond doubt: in a third of the time."""
REFERENCE = re.compile(
    rb"(?:[$#@%]\{[^{}\n]{0,200}(?:\{[^{}\n]{0,200}\}[^{}\n]{0,200})?\}|"
    rb"\$\([^()\n]{0,200}(?:\([^()\n]{0,200}\)[^()\n]{0,200})?\)|\$[0-9@*#?!])(?=[\s\"'`,;&|)}\]<>@:/]|\Z)"
)
"""What stands for a value that is somewhere else: ${NAME}, ${NAME:-default}, $(command), #{name}, $1."""
DEFAULTED = re.compile(
    rb"\$\{(?!(?i:env|sys\w*|file|vault\w*|ssm|secret\w*|aws\w*|gcp\w*|azure\w*|bundle|const|jndi|java|ctx|map|sd|base64\w*|"
    rb"script|url\w*|xml|properties):)[\w.\-]{1,64}:[\-=]?(?=[^}\s$:?+\-=])"
)
"""A reference with what stands in for it: a shell's ${NAME:-default}, Spring's ${name:default}; no lookup by scheme."""
DEFAULT_VALUE = re.compile(rb"[^{}\s\"'$]{1,512}(?=\})")
COMMAND = re.compile(
    rb"(?:sudo |/(?:usr/)?bin/)?(?:cat|echo|printf|grep|awk|sed|cut|head|tail|tr|jq|yq|aws|gcloud|az|vault|pass|op|"
    rb"kubectl|oc|openssl|base64|curl|security|gpg|sops|hostname|date|uuidgen|secret-tool|pwgen|python[0-9.]{0,4}|"
    rb"perl|ruby|node)[ \t]+[^`]*"
)
"""A shell's command whose output is the value, within backticks."""
USAGE_AFTER = re.compile(rb" {2,8}[A-Z][A-Za-z]{1,20} [a-z]{2,20}[ .,;\r\n]")
"""What a program's help says of an option, behind two blanks or more: --community   SNMP community to use."""
BARE_ARGUMENT = re.compile(
    rb"(?!(?:via|on|is|in|and|or|to|for|from|flag|option|instead|with|as|when|argument|can|was|the)[ ][A-Za-z])"
    rb"[^\s\"'`|;&<>]{1,4096}"
)
REST = re.compile(rb"[^\r\n]{1,4096}")
LINE_START = re.compile(
    rb"[ \t]*(?:[#;]+[ \t]*|//[ \t]*|[<>*|+][ \t]{1,4})?"
    rb"(?:(?:export|set|setenv|env|ENV|ARG|-|\?)[ \t]+|-D)*[\"']?\Z"
)
MORE_PAIRS = re.compile(rb"[\s,;&|][\"']?[A-Za-z_][\w.\-]{0,47}[\"']?\s{0,2}(?:=|: )")
GOES_ON = frozenset(
    b"a an and are at be been by can cannot could did do does expired failed for from given had has have if in invalid "
    b"is it may missing must needed no not of on or rejected required retrying should so than that the then to via was "
    b"were when which while will with without would wrong you your".split()
)
"""How a sentence goes on behind a value, and how none that is a phrase of its own does."""
ONE_WORD = re.compile(rb"(?i)token|(?:api|access)[_\-]?key")
"""Keys of what has no spaces."""
COMMENT = re.compile(rb"[ \t]+(?:#|;|//).*\Z", re.DOTALL)
ELEMENT = re.compile(
    rb"(?:[ \t][^<>\n]{0,200})?>[ \t\r\n]{0,40}(?:<!--[^<>]{0,400}-->[ \t\r\n]{0,40}){0,2}"
    rb"(?:<(?:[Vv]alue|key|string|plain)>[ \t\r\n]{0,40})?(?:<!\[CDATA\[)?"
    rb"(?P<value>[^<]{1,2048}?)[ \t\r\n]{0,40}(?:\]\]>)?</"
)
ATTRIBUTE = re.compile(rb"(?:\s[^<>]{0,200}?)?\s(?:[Vv]alue|val|content)=[\"'](?P<value>[^\"'<>\n]{1,2048})[\"']")
"""The value of an element that is empty: <secret value="X"/>."""
PAIRED = (
    re.compile(
        rb"(?:" + QUOTE + rb")[^<>\n]{0,120}?\b(?:value|val|content|data)=[\"'](?P<value>[^\"'<>\n]{1,2048})[\"']",
        re.IGNORECASE,
    ),
    re.compile(
        rb"[\"'][ \t]{0,8}[^<>\n]{0,80}>[ \t\r\n]{0,40}(?:<value>)?(?:<!\[CDATA\[)?"
        rb"(?P<value>[^<>]{1,2048}?)(?:\]\]>)?[ \t\r\n]{0,40}</",
        re.IGNORECASE,
    ),
    re.compile(
        rb"(?P<q>\\{0,7}[\"'])\s{0,40},\s{0,40}"
        rb"(?:\\{0,7}[\"']\w{1,24}\\{0,7}[\"']\s{0,8}:\s{0,8}(?:\\{0,7}[\"'][^\"'\\\n]{0,120}\\{0,7}[\"']|[\w.]{1,20})\s{0,40},\s{0,40}){0,4}"
        rb"\\{0,7}[\"'](?:\w{0,24}value|val|content|default)\\{0,7}[\"']\s{0,8}:\s{0,8}"
        rb"\\{0,7}[\"'](?P<value>(?:[^\"'\\\n]|\\(?![\"'])){1,2048})",
        re.IGNORECASE,
    ),
    re.compile(
        rb"[\"']?[ \t]{0,8}(?:\r?\n[ \t]{1,40}\w{1,24}[ \t]{0,8}[:=][ \t]{1,8}[^\r\n]{1,120}){0,3}"
        rb"\r?\n[ \t]{1,40}\w{0,24}value[ \t]{0,8}[:=][ \t]{1,8}(?:[\"'](?=[^\"'\r\n]*[\"']))?"
        rb"(?P<value>(?<=[\"'])[^\"'\r\n]{1,2048}|(?<![\"'])[^\"'\r\n#]{1,2048})",
        re.IGNORECASE,
    ),
    re.compile(
        rb":?</[\w\-]{0,24}(?:key|name|string|Key|Name|td|th|dt|b|strong)>\s{0,40}"
        rb"(?:<[\w\-]{1,32}>[^<]{0,80}</[\w\-]{1,32}>\s{0,40})?"
        rb"<(?:string|[\w\-]{0,24}[vV]alue|data|(?:td|dd|code)(?:[ ][^<>]{0,80})?)>"
        rb"(?:<(?:code|pre)>){0,2}(?:&\#(?:3[49]|x2[27]);)?(?P<value>[^<]{1,2048}?)(?:&\#(?:3[49]|x2[27]);)?</"
    ),
    re.compile(
        rb"[\"']?,[ \t]{0,8}[\"']?[Vv]alue[\"']?[ \t]{0,4}[:=][ \t]{0,8}(?:[\"'](?=[^\"'\r\n]*[\"']))?"
        rb"(?P<value>(?<=[\"'])[^\"'\r\n]{1,2048}|(?<![\"'])[^\"'\r\n,}]{1,2048})"
    ),
    re.compile(rb"[\"'](?:\r?\n[A-Z][\w\-]{2,32}:[^\r\n]{1,120}){0,3}\r?\n\r?\n(?P<value>[^\r\n]{1,2048})"),
)
"""The last is a part of a form (RFC 7578): `name="password"`, an empty line, the value."""
NAMED = re.compile(
    rb"(?:\b(?:\w{0,20}name|\w{0,20}key|"
    rb"(?<!<h[1-6] )(?<!<li )(?<!<div )(?<!<span )(?<!<section )id|"  # a heading's, as manuals of HTML have them
    rb"property|field|variable|parameter|option)(?:\\{0,7}[\"'])?"
    rb"[ \t]{0,8}[=:][ \t]{0,8}"
    rb"(?:\\{0,7}[\"'])?(?:[\w.\-]{1,32}:{1,2}){0,3}|"
    rb"<[\w\-]{0,20}(?:key|name|string)>\s{0,8}|<(?:td|th|dt|b|strong)(?:[ ][^<>]{0,80})?>\s{0,8})\Z",
    re.IGNORECASE,
)
NAMERS = frozenset((b"=", b":", b">"))
"""How `NAMED` ends, quotes and blanks aside."""
PAIRED_BEFORE = re.compile(
    rb"(?:\b(?:value|val|content)\\{0,7}[\"']\s{0,8}:\s{0,8}\\{0,7}[\"'](?P<value>(?:[^\"'\\\n]|\\(?![\"'])){1,512})\\{0,7}[\"']"
    rb"\s{0,40},\s{0,40}\\{0,7}[\"'](?:name|key)\\{0,7}[\"']\s{0,8}:\s{0,8}\\{0,7}[\"']|"
    rb"\b(?:value|val)=[\"'](?P<attribute>[^\"'<>\n]{1,512})[\"'][ \t]{1,8}(?:name|key)=[\"'])\Z",
    re.IGNORECASE,
)
PAIR_BACK = 640
SET = re.compile(
    rb"(?:\A|\n)[ \t]*(?:ENV|ARG|setenv|SetEnv|PassEnv|fastcgi_param|uwsgi_param|proxy_set_header|add_header|env|set|"
    rb"setx|"
    rb"(?:git|npm|yarn|pip|poetry|composer|gcloud)[ ]config(?:[ ](?:set|--\w{4,8})){0,2})"
    rb"[ \t]+[\"']?\Z"
)
SET_VALUE = re.compile(rb"[\"']?[ \t]{1,20}(?:ENC[ \t])?[\"']?(?P<value>[^\s\"';](?:[^\r\n\"';]{0,1022}[^\s\"';\\])?)")
VARIABLE = re.compile(rb"\b(?:variable|output|param)[ \t]+[\"']\Z")
DEFAULT = re.compile(
    rb"[\"'][ \t]*\{[^{}]{0,400}?\b(?:default|value)[ \t]*=[ \t]*[\"'](?P<value>[^\"'\n]{1,2048})[\"']"
)
INNER = re.compile(
    rb"\{[^{}]{0,200}?\\{0,7}[\"'](?:value|default|plaintext|text|Value)\\{0,7}[\"']\s{0,8}:\s{0,8}\\{0,7}[\"']"
    rb"(?P<value>(?:[^\"'\\\n]|\\(?![\"'])){1,2048})"
)
INDENTED = re.compile(
    rb"[ \t]*\r?\n[ \t]{1,40}(?:value|plain|default):[ \t]{1,8}[\"']?"
    rb"(?P<value>[^\"'\r\n#{}]{1,2048}?)[\"']?[ \t]*(?=\r?\n|\Z)"
)
ITEMS = re.compile(rb"[ \t]*(?:\r?\n[ \t]*-[ \t]+[^\s:]{1,512}[ \t]*(?=\r?\n|\Z)){1,200}")
ITEM_OF_BLOCK = re.compile(rb"-[ \t]+[\"']?(?P<value>[^\s\"':]{1,512})")
CALLED = re.compile(
    rb"(?:define|put|putString|set\w*|setProperty|add\w*|option|config|param\w*|header|\bgetenv|\benv|\benviron\.get|fetch|"
    rb"getOrDefault)"
    rb"\([ \t]{0,8}[\"']\Z|"
    rb"\bVALUES\s{0,4}\(\s?(?:[0-9]{1,12},\s?)?[\"']\Z",
    re.IGNORECASE,
)
SECOND = re.compile(rb"[\"'][ \t]{0,40},[ \t]{0,40}(?P<q>[\"'])(?P<value>(?:[^\"'\\\n]|\\.){1,4096})(?P=q)")
ROW = re.compile(rb"[\"'],(?P<q>[\"'])(?P<value>(?:[^\"'\\\n]|\\.){6,1024})(?P=q)[ \t]*(?=\r?\n|\Z)")
"""A row of two cells without a header: "smtp_password","X"."""
TUPLE = re.compile(
    rb"[ \t]{0,8},[ \t]{0,8}(?:<<)?(?P<q>[\"'])(?P<value>(?:[^\"'\\\n]|\\.){1,1024})(?P=q)(?:>>)?[ \t]{0,8}\}"
)
"""Erlang: {default_pass, <<"X">>}."""
BRACED = re.compile(rb"\{(?P<value>(?:[^{}\r\n]|\}\}){1,1024})\}(?!\})")
"""ODBC: PWD={X}, with any } of the value doubled."""
SPACE_QUOTED = re.compile(rb"`?[ \t]{1,8}(?P<q>[\"'`])(?P<value>(?:[^\"'`\\\n]|\\.){1,1024})(?P=q)")
COLUMN = re.compile(rb"[ \t]{1,60}(?P<value>(?![0-9]+:b:)[^\s\"'=]{4,512}?={0,2});?[ \t]{0,8}(?=\r?\n|\Z)")
"""A value behind white space, alone with its key on a line: a configuration's directive, or two columns."""
COMMANDS = frozenset((b"passwd",))
"""Keys that are commands too, of a login."""
LOGIN_AFTER = re.compile(rb" [a-z_][a-z0-9_.\-]{1,31}[ \t]*(?=\r?\n|\Z)")
TYPED = re.compile(rb"[ \t]{1,8}(?:password|string)[ \t]{1,8}(?P<value>[^\s]{1,512})")
"""What debconf asked for: mysql-server/root_password password X."""
FROM_TO = re.compile(
    rb"[\"'`]?(?: (?:was|has been|is))? (?:changed|updated|modified|rotated|reset|switched|set) from "
    rb"[\"'`]?(?P<value>[^\s\"'`,]{4,256})[\"'`]?,?"
    rb"(?= to )"
)
AND_THEN = re.compile(rb"[\"'`]?[ \t]{0,40}(?:->|=>|\xe2\x86\x92|,? to)[ \t]{1,4}[\"'`]?(?P<value>[^\s\"'`,]{4,512})")
"""What a changed value became: "old" -> "new", from old to new."""
BEFORE_CHANGE = frozenset((b" ", b'"', b"'", b"`"))
"""What stands behind an old value that has a new one."""
SET_BEFORE = re.compile(
    rb"\b(?:set|setting|resets?|resetting|changed?|changing|updated?|updating|rotated?)"
    rb"(?: (?:the|user|new|its|your))? [\"'`]?\Z",
    re.IGNORECASE,
)
SET_TO = re.compile(rb"[\"'`]? to [\"'`]?(?P<value>[^\s\"'`,]{4,256}?)(?=[.,;:!]?(?:[\s\"'`]|\Z))")
PROSE = re.compile(
    rb"[\"']?[ \t]{1,4}(?:for [\w.@\\-]{1,64}(?: is|:)|(?:is|was|ist)(?: [a-z]{2,12}){1,5}?:|"
    rb"is(?: still| now)?|was|are|ist(?: noch)?|lautet|war|est|es|"
    rb"set to|changed to|reset to|now|=)(?:[ \t]{0,4}:)?[ \t]{1,4}"
    rb"[\"'`]?(?P<value>[^\s\"'`,]{4,256}?)(?=[.,;:!]?(?:[\s\"'`]|\Z))",
    re.IGNORECASE,
)
FLAG_GAP = re.compile(
    rb"(?:[\"']?,?[ \t]{1,8}|[\"'],(?:\r?\n[ \t]{0,40})?(?=[\"'])|"
    rb"[\"']?[ \t]{0,4}\r?\n[ \t]{0,40}-[ \t]{1,4})(?P<q>[\"'])?"
)
FLOW = re.compile(rb"\{[A-Za-z_][\w.\-]{0,63}: ")
"""How a mapping of YAML in one line begins: {name: bob}."""
BLOCK = re.compile(
    rb"[|>][+\-0-9]{0,2}[ \t]*\r?\n(?P<indent>[ \t]+)"
    rb"(?P<value>(?:\S{8,2048}(?:\r?\n(?P=indent)\S{2,2048}(?=\r?\n|\Z)){1,64})|[^\r\n]{1,2048})"
)
"""YAML's block scalars: one line, or several of one word each, as long secrets are folded."""
TRIPLED = {
    mark: re.compile(rb"(?:\r?\n)?[ \t]*(?P<value>\S(?:[^\\]|\\.){0,4094}?)\s*" + mark, re.DOTALL)
    for mark in (b'"""', b"'''")
}
"""What stands between three quotes, over several lines, in TOML and Python."""
CONTINUED = re.compile(rb"(?:[^\r\n]{0,2046}\\\r?\n){1,32}[ \t]*[^\r\n]{1,2048}")
"""A value of properties or a shell whose lines end with a backslash."""
ONE_OF_SEVERAL = re.compile(
    rb"[^\s\\\"']{1,2048}(?=[ \t]+\\\r?\n[ \t]*(?:[A-Za-z_][\w.]{0,127}=|-{1,2}[A-Za-z]|&&|\|))"
)
"""A value of one word, where the line goes on with another variable, option or command: ENV A=x \\, B=y below it."""
ITEM = re.compile(rb"(?P<q>\\{0,7}[\"'])(?P<value>(?:[^\"'\\\n]|\\(?![\"'])){1,4096})(?P=q)")
MAP = re.compile(rb"\{[^{}\n]{0,4096}\}")
ITEM_OF_MAP = re.compile(
    rb"(?P<k>\\{0,7}[\"'])[^\"'\\\n]{1,128}(?P=k)[ \t]{0,8}:[ \t]{0,8}"
    rb"(?P<q>\\{0,7}[\"'])(?P<value>[^\"'\\\n]{1,512})(?P=q)"
)
"""An entry of a mapping whose name says that all of its values are secrets: {"passwords": {"bob": "X"}}."""
OF_SECRETS = re.compile(rb"(?:passwords|passwds|passphrases)\Z", re.IGNORECASE)
LOADED = re.compile(rb"(?:\bloaded (?:\w{2,8} )?|\{\{-? ?(?:(?:with|range|if) )?)\Z")
"""What strongSwan and templates of Consul's say before a secret's name."""
JOINED = re.compile(rb"\\\r?\n[ \t]{0,32}")
"""A line's end that is none, right before a value: RouterOS exports such lines."""
LIST = re.compile(rb"\[[^\]\n]{0,4096}\]|\[\s{1,80}(?:\\{0,3}\"[^\"\n]{1,512}\"\s{0,80},?\s{0,80}){1,16}\]")


RUNNING_TEXT = re.compile(
    rb"(?<= )(?i:(?<!env )(?<!arg ))"
    rb"[A-Za-z]{3,16} (?!is|was|are|ist|lau|war|est|es |set|cha|res|now|to |key|sec|tok|str|de |phr|pas|As |"
    rb":|=)[A-Za-z]"
    rb"(?![^\s\"']{3,512};?[ \t]{0,8}(?:\r?\n|\Z))"
)
"""A keyword amid words ("Failed password for root") that no dialect takes for a key: it is passed over at once."""

TYPE_NAME = re.compile(
    rb"(?!(?:[A-Za-z]{0,40}[0-9]){3})[A-Z][A-Za-z0-9]{1,60}?(?P<kind>Credential|Token|Key)s?(?=[\s,;:)<|>&{}\[=?\\]|\Z)"
)
"""A type as TypeScript, Kotlin and Java write it behind a name."""
ANNOTATION = re.compile(
    rb"[A-Z][A-Za-z0-9]{2,60}(?:\?|\[\])?(?=[\"']?"
    rb"(?:,[ ]?(?:\r?\n|\*?[A-Za-z_]\w{0,40}\??:[ ])|\)|[ ]?=[ ]|[ ]?\|[ ]|;[ \t]*(?:\r?\n|[}\w])|"
    rb"[ \t]*(?:\#|\r?\n|\Z)))"
)
"""What may be a type behind a name and a colon, with what stands behind types: password: ReadableBuffer, salt: …."""
OPERATOR_AFTER = re.compile(rb" (?:\|\||\?\?|&&|=>) [A-Za-z_$\"'(!\[{]")
VERDICT = re.compile(
    rb"(?=[^\s]*(?:/|[Tt]est|[Cc]heck|\.(?:exp|sh|py|pl|rb|js|ts|c|t|cc|cpp|java|html|log|tcl)(?![\w]))|[^\s]+[ \t]+\S)"
    rb"[^\r\n]{3}"
)
"""What passed, behind a PASS at a line's beginning: a test, as DejaGnu, automake and LTP write it."""

OPTION_AFTER = re.compile(rb"(?:,[a-z_]{2,16})+\Z")
RESOURCE = re.compile(rb"\barn:[\w:\-*]*:\Z")
VERB_BEFORE = re.compile(
    rb"\b(?:can|could|to|not|you|we|it|may|must|should|will|would|then|and|or|please|just) \Z|[.:)] \Z"
)
"""What stands before a verb."""
DECLARED = re.compile(rb"(?:->|\bclass) \Z")
"""Before a type whose name a colon ends: def load() -> PrivateKey:."""
SEVERAL_WORDS = re.compile(rb"[\"'][A-Za-z][\w']* [A-Za-z]")
OBJECTS = {b"secret", b"secrets", b"token", b"credential", b"credentials"}
NAME_ENDS = {b'"', b"'", b">", b" ", b"=", b":"}
CODE_LIKE = re.compile(rb"[(\[][\"')]|\(|\A[$={\[]")
