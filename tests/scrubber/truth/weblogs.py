"""Logs of web servers and applications in the forms that their writers give them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.scrubber.truth import tokens, values
from tests.scrubber.truth.mark import bare, mark

if TYPE_CHECKING:
    from tests.scrubber.truth.teller import Teller

AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.6099.109 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:121.0) Gecko/20100101 Firefox/121.0",
    "curl/8.4.0",
    "kube-probe/1.28",
    "Apache-HttpClient/4.5.13 (Java/17.0.9)",
)


def json_lines(text: str) -> list[object]:
    """Parse each line."""
    return [json.loads(line) for line in text.splitlines() if line]


def say_json(value: object, indent: int | None = None) -> str:
    """Write marked values as JSON; the marks live through it."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def access(t: Teller, top: str) -> None:
    """Tell access logs."""
    rng = t.rng
    lines = []
    for _ in range(150):
        path = t.one([
            "/", "/static/js/app.3f9c1e7d.js", f"/api/v2/orders/{values.uuid(rng)}", f"/search?q=red+shoes&page={rng.randint(1, 9)}",
            f"/login?user={quote(t.person().login)}", f"/reset?token={mark('token', values.like(rng, '[A-Za-z0-9]{40}'), 'query token=')}",
            f"/cb?code={mark('token', values.like(rng, '[A-Za-z0-9]{32}'), 'oauth code=')}&state={values.hexes(rng, 16)}",
            f"/dl/report.pdf?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=900&X-Amz-Signature={mark('token', values.hexes(rng, 64), 'X-Amz-Signature')}",
            f"/profile?email={mark('email', t.person().email.replace('@', '%40'))}&lang=de",
            f"/blob/x.zip?sv=2023-01-03&sr=b&sp=r&sig={mark('token', quote(values.b64(rng, 32), safe=''), 'sas sig=')}",
            f"/ws?api_key={mark('token', values.like(rng, '[a-z0-9]{32}'), 'query api_key=')}",
        ])  # fmt: skip
        if "/login" in path:
            path = f"/login?user={t.user()}&password={t.pw()}"
        user = t.user() if rng.random() < 0.2 else "-"
        lines.append(
            f'{t.ip() if rng.random() < 0.85 else t.ip6()} - {user} {t.clf_time()} "{t.one(["GET", "POST"])} {path} HTTP/1.1" {t.one(["200", "302", "404", "500"])} {rng.randint(99, 99999)} '
            f'"https://{t.fqdn()}/start" "{t.keep(rng.choice(AGENTS), "user agent")}"\n'
        )
    t.tree.page(f"{top}/nginx/access.log", "".join(lines), "nginx")
    errors = "".join(
        f"{t.tick():%Y/%m/%d %H:%M:%S} [error] {t.pid()}#0: *{t.pid()} connect() failed (111: Connection refused) while connecting to upstream, client: {t.ip()}, server: {t.fqdn()}, "
        f'request: "GET /api/v1/items HTTP/2.0", upstream: "http://{t.ip()}:8080/api/v1/items", host: "{t.fqdn()}"\n'
        for _ in range(30)
    )
    t.tree.page(f"{top}/nginx/error.log", errors, "nginx error")
    apache = "".join(
        f"[{t.tick():%a %b %d %H:%M:%S.%f %Y}] [ssl:warn] [pid {t.pid()}:tid {t.keep('1403' + values.like(rng, '[0-9]{11}'), 'tid')}] [client {t.ip()}:{rng.randint(1025, 65000)}] AH01909: {t.fqdn()}:443:0 server certificate does NOT include an ID\n"
        for _ in range(20)
    )
    t.tree.page(f"{top}/httpd/error_log", apache, "apache error")


def java(t: Teller, top: str) -> None:
    """Tell a Java application: log4j lines, stack traces, Spring's banner, thread dumps."""
    rng = t.rng
    out = [
        "  .   ____          _            __ _ _\n :: Spring Boot ::                (v3.1.5)\n\n",
        f"{t.plain_time()} INFO  [main] com.{t.world.company.split('-')[0]}.orders.Application - Starting Application v2.4.1 using Java 17.0.9 on {t.short()} with PID {t.pid()} (/opt/app/orders.jar started by {t.user()} in /opt/app)\n",
    ]
    for _ in range(90):
        name, token = t.token()
        clazz = t.one(
            [
                "org.apache.commons.net.ftp.FTPClient",
                "org.hibernate.engine.jdbc.spi.SqlExceptionHelper",
                "com.zaxxer.hikari.pool.HikariPool",
                "o.s.web.servlet.DispatcherServlet",
            ]
        )
        at = f"{t.plain_time()} {t.one(['INFO ', 'WARN ', 'ERROR', 'DEBUG'])} [http-nio-8080-exec-{rng.randint(1, 20)}] {t.keep(clazz, 'class')} - "
        out.append(at + t.one([
            f"User {t.email()} logged in from {t.ip()} session={mark('cookie', values.like(rng, '[A-F0-9]{32}'))}\n",
            f"HikariPool-1 - jdbcUrl=jdbc:postgresql://{t.fqdn()}:5432/orders?user=app&password={t.pw()}\n",
            f"Connecting to jdbc:mysql://{t.user()}:{t.pw()}@{t.fqdn()}:3306/shop\n",
            f"jdbc:oracle:thin:scott/{t.pw()}@//{t.fqdn()}:1521/ORCL\n",
            f"Authentication failed for user={t.user()}, {t.keep('reason=invalid password', 'prose')}\n",
            f"Request headers: {{host={t.fqdn()}, authorization=Bearer {t.jwt()}, x-request-id={t.uuid()}}}\n",
            f"Order {t.keep(values.not_a_card(rng), 'order number')} paid with card {mark('card', values.card(rng))}\n",
            f"Refund to IBAN {mark('iban', values.iban(rng))} for customer {rng.randint(10000, 99999)}\n",
            f"Password reset requested for {t.email()}, link https://{t.fqdn()}/reset/{mark('token', values.like(rng, '[A-Za-z0-9]{43}'), 'reset link')}\n",
            f"Session created {t.keep('org.apache.catalina.session.StandardSession@' + values.hexes(rng, 8), 'object id')}\n",
            f"Using {name} = {token}\n",
            f"login({t.user()}, {t.keep('****', 'placeholder')}) took {rng.randint(3, 900)} ms\n",
            f"Kafka version: {t.keep('3.5.1', 'version')}, commitId: {t.keep(values.hexes(rng, 16), 'commit')}\n",
            f"Cache stats hitCount={rng.randint(1, 99999)} missCount={rng.randint(1, 999)} {t.keep('cacheKey=orders:page:7', 'cache key')}\n",
            f"Sending SMS to {mark('phone', t.person().phone)}\n",
            f"traceId={t.trace()} spanId={t.keep(values.hexes(rng, 16), 'span')} tokens_used=512 finished\n",
        ]))  # fmt: skip
        if rng.random() < 0.2:
            out.append(
                f"java.sql.SQLException: Access denied for user '{t.user()}'@'{t.ip()}' (using password: YES)\n"
                + "".join(f"\tat {t.keep(frame, 'frame')}\n" for frame in (
                    f"com.mysql.cj.jdbc.exceptions.SQLError.createSQLException(SQLError.java:{rng.randint(20, 900)})",
                    f"org.springframework.security.authentication.dao.DaoAuthenticationProvider.additionalAuthenticationChecks(DaoAuthenticationProvider.java:{rng.randint(20, 900)})",
                    f"sun.security.ssl.SSLSocketImpl.startHandshake(SSLSocketImpl.java:{rng.randint(20, 900)})",
                    f"io.netty.util.internal.ThreadExecutorMap$2.run(ThreadExecutorMap.java:{rng.randint(20, 99)}) ~[netty-common-4.1.100.Final.jar!/:4.1.100.Final]",
                ))
                + f"Caused by: java.net.ConnectException: Connection refused: {t.fqdn()}/{t.ip()}:3306\n"
                f"\t... {rng.randint(3, 40)} common frames omitted\n"
            )  # fmt: skip
    t.tree.page(f"{top}/app/orders.log", "".join(out), "java log")
    threads = "".join(
        f'"http-nio-8080-exec-{n}" #{n + 30} daemon prio=5 os_prio=0 cpu={rng.uniform(1, 99):.2f}ms tid={t.keep("0x00007f" + values.hexes(rng, 10), "tid")} nid={t.keep("0x" + values.hexes(rng, 4), "nid")} waiting on condition  [{t.keep("0x00007f" + values.hexes(rng, 10), "address")}]\n'
        "   java.lang.Thread.State: WAITING (parking)\n"
        "\tat jdk.internal.misc.Unsafe.park(java.base@17.0.9/Native Method)\n"
        f"\t- parking to wait for  <{t.keep('0x' + values.hexes(rng, 16), 'address')}> (a java.util.concurrent.locks.AbstractQueuedSynchronizer$ConditionObject)\n\n"
        for n in range(25)
    )
    t.tree.page(
        f"{top}/app/threads.txt",
        "Full thread dump OpenJDK 64-Bit Server VM (17.0.9+9-LTS mixed mode, sharing):\n\n" + threads,
        "thread dump",
    )


def structured(t: Teller, top: str) -> None:
    """Tell JSON lines, logfmt, CEF, LEEF, syslog RFC 5424, journald, Kubernetes."""
    rng = t.rng
    rows = []
    for _ in range(90):
        who = t.person()
        _, token = t.token()
        kind = rng.randrange(7)
        row: dict[str, object] = {
            "ts": t.iso(),
            "level": t.one(["info", "warn", "error"]),
            "trace_id": t.trace(),
            "caller": "server/auth.go:217",
        }
        row |= (
            {"msg": "login", "user": t.user(who), "remote_addr": f"{t.ip()}:{rng.randint(1025, 65000)}", "duration_ms": rng.randint(1, 900)},
            {"msg": "request", "headers": {"Authorization": f"Bearer {t.jwt()}", "User-Agent": "Go-http-client/2.0", "X-Request-Id": t.uuid()}},
            {"msg": "signup", "first_name": mark("name", who.first), "last_name": mark("name", who.last), "email": t.email(who), "phone": mark("phone", who.phone), "date_of_birth": mark("birth", who.birth)},
            {"msg": "config", "db": {"host": t.fqdn(), "password": t.pw(), "pool": 20, "password_file": t.keep("/run/secrets/db", "path")}},
            {"msg": f"could not push with {token}", "err": f"401 from https://{t.fqdn()}/v2/"},
            {"msg": "body", "body": json.dumps({"username": "X", "password": "Y"}).replace("X", t.user(who)).replace("Y", t.pw()), "sha256": t.sha()},
            {"msg": "payment", "card_number": mark("card", values.card(rng, "")), "order": t.keep(values.not_a_card(rng), "order number"), "iban": mark("iban", values.iban(rng, spaced=False))},
        )[kind]  # fmt: skip
        rows.append(say_json(row))
    t.tree.page(f"{top}/json/api.jsonl", "\n".join(rows) + "\n", "json lines", parse=json_lines)
    logfmt = "".join(
        f'time={t.iso()} level=info msg="user authenticated" user={t.user()} ip={t.ip()} {t.one(["password=" + t.pw(), "secret=" + t.pw(), "token=" + t.token()[1], "api_key=" + t.named()[1], "status=ok", "auth_method=" + t.keep("password", "method")])} trace_id={t.trace()} version={t.version()}\n'
        for _ in range(60)
    )
    t.tree.page(f"{top}/logfmt/agent.log", logfmt, "logfmt")
    cef = "".join(
        f"<134>{t.syslog_time()} {t.short()} CEF:0|Palo Alto Networks|PAN-OS|{t.keep('10.2.4', 'version')}|end|TRAFFIC|3|rt={t.syslog_time()} src={t.ip()} dst={t.ip()} smac={t.mac()} suser={t.user()} shost={t.fqdn()} dpt=443 cs1Label=Rule cs1=allow-out externalId={t.pid()}\n"
        for _ in range(30)
    )
    t.tree.page(f"{top}/siem/cef.log", cef, "cef")
    leef = "".join(
        f"LEEF:2.0|IBM|Guard|{t.keep('9.1.0.4', 'version')}|4625|^|src={t.ip()}^dst={t.ip()}^usrName={t.user()}^identMAC={t.mac()}^sev=5^msg=logon failed\n"
        for _ in range(20)
    )
    t.tree.page(f"{top}/siem/leef.log", leef, "leef")
    rfc5424 = "".join(
        f'<165>1 {t.iso()} {t.fqdn()} evntslog {t.pid()} ID47 [origin ip="{t.ip()}" software="app" swVersion="{t.version()}"][user@32473 name="{t.user()}" mail="{t.email()}"] login accepted\n'
        for _ in range(30)
    )
    t.tree.page(f"{top}/siem/rfc5424.log", rfc5424, "rfc5424")
    journal = "".join(
        say_json({
            "__CURSOR": "s=" + values.hexes(rng, 32), "__REALTIME_TIMESTAMP": t.keep(str(int(t.tick().timestamp() * 1e6)), "timestamp"),
            "_BOOT_ID": t.keep(values.hexes(rng, 32), "boot id"), "_MACHINE_ID": values.hexes(rng, 32), "_HOSTNAME": t.short(), "_COMM": "sshd", "_UID": "0",
            "_CMDLINE": f"sshd: {t.user()} [priv]", "MESSAGE": f"Accepted publickey for {t.user()} from {t.ip()} port 4711 ssh2",
        }) + "\n"
        for _ in range(30)
    )  # fmt: skip
    t.tree.page(f"{top}/journal/export.json", journal, "journal json", parse=json_lines)
    export = "".join(
        f"__REALTIME_TIMESTAMP={int(t.tick().timestamp() * 1e6)}\n"
        f"_HOSTNAME={t.short()}\n"
        "_SYSTEMD_UNIT=app.service\n"
        f"MESSAGE=connecting as {t.user()} with DB_PASSWORD={t.pw()} to {t.ip()}\n\n"
        for _ in range(20)
    )
    t.tree.page(f"{top}/journal/export.txt", export, "journal export")
    kube = "".join(
        f'{t.iso()} stderr F E1103 07:12:44.120931       1 reflector.go:138] {t.keep("k8s.io/client-go/informers/factory.go:134", "source")}: Failed to watch *v1.Node: Get "https://{t.ip()}:6443/api/v1/nodes": x509: certificate is valid for {t.ip()}, not {t.ip()}\n'
        f"{t.iso()} stdout F I pod={t.keep('orders-7d9f8b6c5d-x2x' + values.like(rng, '[a-z0-9]{2}'), 'pod')} image={t.keep('registry.k8s.io/pause@sha256:' + values.digest(rng), 'image')} node={t.fqdn()}\n"
        for _ in range(20)
    )
    t.tree.page(f"{top}/kube/pod.log", kube, "kubernetes log")


def scripts(t: Teller, top: str) -> None:
    """Tell Python and Go failures, nodes, and prose that only speaks of passwords."""
    rng = t.rng
    trace = [
        (
            f"{t.plain_time()} ERROR worker: job {t.uuid()} failed\n"
            "Traceback (most recent call last):\n"
            f'  File "/usr/lib/python3.11/site-packages/requests/adapters.py", line {rng.randint(10, 700)}, in send\n'
            f"    {t.keep('raise ConnectionError(err, request=request)', 'code')}\n"
            f'  File "/home/{t.user()}/app/tasks.py", line {rng.randint(10, 700)}, in run\n'
            f"    {t.keep('client.login(username, password=self.password)', 'code')}\n"
            f"requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://{t.user()}:{t.pw()}@{t.fqdn()}/api?token={mark('token', values.like(rng, '[a-f0-9]{40}'), 'query token=')}\n"
            f"goroutine {rng.randint(1, 900)} [running]:\n"
            f"\t{t.keep('main.(*Server).handle(0xc000' + values.hexes(rng, 6) + ', 0x2a)', 'frame')}\n"
            f"\t/src/cmd/main.go:{rng.randint(1, 999)} +{t.keep('0x' + values.hexes(rng, 3), 'offset')}\n"
        )
        for _ in range(16)
    ]
    t.tree.page(f"{top}/py/worker.log", "".join(trace), "python log")
    prose = [
        "The password for the account has expired and must be changed.", "Invalid password entered three times.", "User must reset password at next logon",
        "secret management is handled by Vault", "The token endpoint returned an empty body", "API key rotation is scheduled for Monday", "Please use your own credentials here",
        "Password: ", "Enter passphrase for key '/" + "root/.ssh/id_ed25519':", "passwords do not match", "authentication token manipulation error", "the pass rate was 99.4 percent",
        "key exchange algorithm curve25519-sha256 negotiated", "Bearer token missing or malformed", "no secret named orders-db in namespace shop", "token bucket refilled at 100 tokens/s",
        "cookie consent banner shown", "private key does not match certificate", "pwd: /opt/app", "PIN entry cancelled by the operator",
    ]  # fmt: skip
    body = "".join(f"{t.plain_time()} [{t.one(['INFO', 'WARN'])}] {t.keep(line, 'prose')}\n" for line in prose * 3)
    t.tree.page(f"{top}/py/prose.log", body, "prose")


def har(t: Teller, top: str) -> None:
    """Tell a browser's recording (HTTP Archive 1.2)."""
    rng = t.rng
    entries = []
    for number in range(14):
        cookie, jwt = t.cookie(), t.jwt()
        basic = mark(
            "header",
            base64.b64encode(f"{t.person().login}:{values.password(rng, safe=True)}".encode()).decode(),
            "basic",
        )
        answer = say_json(
            {
                "access_token": t.jwt(),
                "refresh_token": mark("token", values.like(rng, "[A-Za-z0-9]{64}"), "json refresh_token"),
                "token_type": "Bearer",
                "expires_in": 3600,
                "user": {"email": t.email(), "displayName": t.name()},
            }
        )
        form = f"username={t.user()}&password={mark('password', quote(values.odd_password(rng), safe=''))}&grant_type=password"
        entries.append({
            "startedDateTime": t.iso(), "time": rng.randint(3, 900), "serverIPAddress": t.ip(), "_requestId": str(number),
            "request": {
                "method": "POST", "url": f"https://{t.fqdn()}/oauth/token", "httpVersion": "h2",
                "headers": [
                    {"name": "Authorization", "value": t.one([f"Bearer {jwt}", f"Basic {basic}"])},
                    {"name": "Cookie", "value": f"JSESSIONID={cookie}; theme=dark; lang=de"},
                    {"name": "X-CSRF-Token", "value": mark("token", values.like(rng, "[A-Za-z0-9]{40}"), "X-CSRF-Token")},
                    {"name": "Accept", "value": t.keep("application/json", "header")},
                ],
                "cookies": [{"name": "JSESSIONID", "value": cookie, "httpOnly": True}],
                "queryString": [{"name": "api_key", "value": mark("token", values.like(rng, "[a-z0-9]{32}"), "har queryString")}],
                "postData": {"mimeType": "application/x-www-form-urlencoded", "text": form},
            },
            "response": {
                "status": 200,
                "headers": [
                    {"name": "Set-Cookie", "value": f"SESSION={t.cookie()}; Path=/; HttpOnly; Secure; SameSite=Lax"},
                    {"name": "ETag", "value": t.keep('W/"' + values.hexes(rng, 32) + '"', "etag")},
                    {"name": "Content-Type", "value": "application/json"},
                ],
                "content": {"size": len(bare(answer)), "mimeType": "application/json", "text": answer},
            },
        })  # fmt: skip
    text = say_json(
        {"log": {"version": "1.2", "creator": {"name": "Firefox", "version": "121.0"}, "entries": entries}}, indent=2
    )
    t.tree.page(f"{top}/session.har", text, "har", parse=json.loads)


def everything_token(t: Teller, top: str) -> None:
    """Tell every token once in the variable that holds it, in four dialects."""
    rng = t.rng
    rows = [(name, mark("token", values.like(rng, pattern), name)) for name, pattern in tokens.DISTINCT]
    rows += [(name, mark("token", make(rng), name)) for name, make in tokens.CHECKED]
    named = [(name, mark("token", _with_digit(t, pattern), f"{name}=")) for name, pattern in tokens.NAMED]
    forms = (
        lambda n, v: f"{n}={v}\n", lambda n, v: f'export {n}="{v}"\n', lambda n, v: f"{n.lower()}: {v}\n", lambda n, v: f"  '{n.lower()}' => '{v}',\n",
        lambda n, v: f'  "{n}": "{v}",\n',
    )  # fmt: skip
    t.tree.page(f"{top}/tokens/.env", "".join(rng.choice(forms)(n, v) for n, v in rows + named), "env file")
    t.tree.page(
        f"{top}/tokens/trace.log",
        "".join(
            f"{t.plain_time()} DEBUG {t.one(['sent', 'auth with', 'value was', 'rejected:'])} {v} {t.one(['', 'retrying', 'status 401', f'after {t.pid()} ms'])}\n"
            for _, v in rows
        ),
        "bare token",
    )


def _with_digit(t: Teller, pattern: str) -> str:
    while True:
        made = values.like(t.rng, pattern)
        if any(letter.isdigit() for letter in made) or "0-9" not in pattern:
            return made
