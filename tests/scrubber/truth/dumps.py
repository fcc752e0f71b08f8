"""What people export: databases, tables of customers, mail, calendars, and code full of look-alikes."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import yaml

from tests.scrubber.truth import keys, values
from tests.scrubber.truth.mark import bare, base64_of, mark
from tests.scrubber.truth.weblogs import say_json
from tests.scrubber.truth.world import phone

if TYPE_CHECKING:
    from tests.scrubber.truth.teller import Teller


def _cells(text: str) -> int:
    rows = list(csv.reader(io.StringIO(text)))
    if len({len(row) for row in rows}) != 1:
        raise ValueError("rows of different lengths")
    return len(rows)


def tables(t: Teller, top: str) -> None:
    """Tell customers as CSV, SQL, JSON, XML, vCard."""
    rng, page = t.rng, t.tree.page
    people = t.world.people
    rows = ["id,first_name,last_name,email,phone,street,city,date_of_birth,iban,password_hash,order_no,created_at"]
    for n, p in enumerate(people * 2):
        rows.append(
            f'{1000 + n},{mark("name", p.first)},{mark("name", p.last)},{t.email(p)},{mark("phone", p.phone)},{mark("address", p.street)},"{mark("address", p.town)}",{mark("birth", p.birth)},{mark("iban", values.iban(rng))},'
            f"{mark('hash', '$2b$12$' + values.like(rng, '[A-Za-z0-9./]{53}'))},{t.keep(values.not_a_card(rng), 'order number')},{t.iso()}"
        )
    page(f"{top}/customers.csv", "\n".join(rows) + "\n", "csv", parse=_cells)
    german = ["Kundennummer;Vorname;Nachname;Straße;PLZ Ort;Telefon;E-Mail;Geburtsdatum;Steuer-ID;Bemerkung"]
    for n, p in enumerate(people):
        german.append(
            f"K{20000 + n};{mark('name', p.first)};{mark('name', p.last)};{mark('address', p.street)};{mark('address', p.town)};{mark('phone', f'0{rng.randint(201, 9999)}/{rng.randint(10000, 9999999)}')};{t.email(p)};"
            f"{mark('birth', '.'.join(reversed(p.birth.split('-'))))};{mark('national', values.steuer_id(rng))};{t.one(['Rechnung offen', 'Stammkunde', ''])}"
        )
    page(
        f"{top}/kunden.csv",
        "\n".join(german) + "\n",
        "csv german",
        encoding="cp1252" if all(_western(line) for line in german) else "utf-8",
    )
    sql = [
        "-- MySQL dump 10.13  Distrib 8.0.35",
        (
            "CREATE TABLE `users` (\n"
            "  `id` int NOT NULL,\n"
            "  `name` varchar(99),\n"
            "  `email` varchar(99),\n"
            "  `password` varchar(255),\n"
            "  `phone` varchar(40),\n"
            "  `api_token` char(40),\n"
            "  PRIMARY KEY (`id`)\n"
            ");"
        ),
    ]
    for n, p in enumerate(people):
        sql.append(
            f"INSERT INTO `users` (`id`,`name`,`email`,`password`,`phone`,`api_token`) VALUES ({n},'{mark('name', p.name.replace(chr(39), chr(39) * 2))}','{t.email(p)}','{t.hash()}','{mark('phone', p.phone)}','{mark('token', values.hexes(rng, 40), 'sql column api_token')}');"
        )
    sql += [
        f"CREATE USER 'app'@'{t.ip()}' IDENTIFIED BY '{t.pw()}';", f"ALTER ROLE {t.user()} WITH LOGIN PASSWORD '{t.pw()}';", f"GRANT ALL ON *.* TO 'root'@'%' IDENTIFIED BY PASSWORD '*{mark('hash', values.hexes(rng, 40).upper())}';",
        f"CREATE LOGIN svc WITH PASSWORD = '{t.pw()}', CHECK_POLICY = OFF;", f"SET PASSWORD FOR 'x'@'localhost' = PASSWORD('{t.pw()}');", f"ALTER USER scott IDENTIFIED BY {t.pw()};",
        f"{t.keep('SELECT password, token FROM users WHERE id = 7;', 'sql')}", f"{t.keep('ALTER TABLE users ADD COLUMN password_changed_at timestamp;', 'sql')}", f"UPDATE users SET password='{t.pw()}' WHERE email='{t.email()}';",
        f"CREATE SUBSCRIPTION s CONNECTION 'host={t.ip()} user=rep password={t.pw()} dbname=x' PUBLICATION p;",
    ]  # fmt: skip
    page(f"{top}/dump.sql", "\n".join(sql) + "\n", "sql")
    copy = "COPY public.customers (id, full_name, email, phone, street, card_number, uuid) FROM stdin;\n" + "".join(
        f"{n}\t{t.name(p)}\t{t.email(p)}\t{mark('phone', p.phone)}\t{mark('address', p.street)}\t{mark('card', values.card(rng))}\t{t.uuid()}\n" for n, p in enumerate(people)
    ) + "\\.\n"  # fmt: skip
    page(f"{top}/pg_dump.sql", copy, "pg copy")
    doc = [
        {"customerId": 4000 + n, "fullName": t.name(p), "contact": {"email": t.email(p), "mobile": mark("phone", p.phone)}, "address": {"street": mark("address", p.street), "city": mark("address", p.town), "country": "DE"}, "birthDate": mark("birth", p.birth), "card": {"number": mark("card", values.card(rng, "")), "cvv": mark("card", values.like(rng, "[0-9]{3}"), "cvv"), "brand": "visa"}, "sku": t.keep(values.like(rng, "[A-Z]{3}-[0-9]{6}"), "sku")}
        for n, p in enumerate(people)
    ]  # fmt: skip
    page(f"{top}/customers.json", say_json(doc, indent=1), "json people", parse=json.loads)
    national = []
    for p in people:
        name, make = rng.choice(values.NATIONALS)
        national.append(
            {
                name: mark("national", make(rng)),
                "employee": t.name(p),
                "passport_number": mark("national", values.like(rng, "[CFGHJK][0-9CFGHJKLMNPRTVWXYZ]{8}")),
                "badge": t.keep(str(rng.randint(1000, 9999)), "badge"),
            }
        )
    national += [
        {"note": f"SSN {mark('national', values.ssn(rng))} on file, callback {mark('phone', phone(rng))}"}
        for _ in range(6)
    ]
    page(f"{top}/hr.yaml", _yaml(national), "yaml people", parse=yaml.safe_load)
    xml = "".join(
        f'<customer id="{n}"><firstName>{mark("name", p.first)}</firstName><lastName>{mark("name", p.last.replace(chr(39), "&apos;"))}</lastName><email>{t.email(p)}</email><phone>{mark("phone", p.phone)}</phone><street>{mark("address", p.street)}</street><iban>{mark("iban", values.iban(rng))}</iban></customer>\n'
        for n, p in enumerate(people)
    )
    page(
        f"{top}/customers.xml",
        f"<?xml version='1.0' encoding='UTF-8'?>\n<customers>\n{xml}</customers>\n",
        "xml people",
        parse=ET.fromstring,
    )
    cards = "".join(
        "BEGIN:VCARD\r\n"
        "VERSION:3.0\r\n"
        f"FN:{t.name(p)}\r\n"
        f"N:{mark('name', p.last)};{mark('name', p.first)};;;\r\n"
        f"ORG:{t.world.company}\r\n"
        f"TEL;TYPE=WORK:{mark('phone', p.phone)}\r\n"
        f"EMAIL:{t.email(p)}\r\n"
        f"ADR;TYPE=WORK:;;{mark('address', p.street)};;;;\r\n"
        f"BDAY:{mark('birth', p.birth)}\r\n"
        f"UID:{t.uuid()}\r\n"
        "END:VCARD\r\n"
        for p in people
    )
    page(f"{top}/contacts.vcf", cards, "vcard")


def _western(line: str) -> bool:
    try:
        bare(line).encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _yaml(rows: list[dict[str, str]]) -> str:
    return "".join(
        "- " + "\n  ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in row.items()) + "\n"
        for row in rows
    )


def mail(t: Teller, top: str) -> None:
    """Tell a mailbox (RFC 4155, 5322) and a ticket's text."""
    rng = t.rng
    box = []
    for _ in range(14):
        a, b = t.person(), t.person()
        now = t.tick(9999)
        box.append(
            f"From {t.email(a)} {now:%a %b %d %H:%M:%S %Y}\n"
            f"Received: from {t.fqdn()} ({t.fqdn()} [{t.ip()}]) by mx.{mark('host', t.world.domain)} with ESMTPS id {t.keep(values.like(rng, '[a-z0-9]{12}'), 'queue id')}\n"
            f"Message-ID: <{mark('email', values.hexes(rng, 16) + '@' + t.world.domain)}>\n"
            f"Date: {now:%a, %d %b %Y %H:%M:%S} +0000\n"
            f"From: {t.name(a)} <{t.email(a)}>\n"
            f'To: "{mark("name", f"{b.last}, {b.first}")}" <{t.email(b)}>\n'
            f"Subject: access to {t.short()}\n"
            f"DKIM-Signature: v=1; a=rsa-sha256; d={mark('host', t.world.domain)}; s=sel; bh={t.keep(values.b64(rng, 32), 'dkim')};\n"
            f" b={t.keep(values.b64(rng, 48), 'dkim')}\n"
            "MIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=utf-8\n"
            f"X-Originating-IP: [{t.ip()}]\n\n"
            f"Dear {mark('name', b.name)},\n\n"
            f"the new password is: {t.pw()}\n"
            f"Please log in to https://{t.fqdn()}/ as {t.user(b)}; {t.keep('the password must be changed at first login.', 'prose')}\n"
            f"My number is {mark('phone', a.phone)}.\n\n"
            "Regards,\n"
            f"{t.name(a)}\n"
            f"{mark('address', a.street)}, {mark('address', a.town)}\n\n"
        )
    t.tree.page(f"{top}/inbox.mbox", "".join(box), "mbox")
    key = "".join("> " + line + "\n" for line in t.pem(keys.openssh).splitlines())
    t.tree.page(
        f"{top}/ticket.txt",
        "Hello support,\n\n"
        "our key stopped working, here it is:\n\n"
        f"{key}\n"
        f"and the output of the login as {t.user()}:\n\n"
        f"  $ ssh -i key {t.user()}@{t.ip()}\n"
        f"  {t.keep('Permission denied (publickey,password).', 'prose')}\n\n"
        f"Passwort: {t.pw()}\n"
        f"Token = {t.token()[1]}\n\n"
        "Gruß\n",
        "ticket",
    )
    attached = base64_of(
        "".join(f"[server{n}]\nhost={t.fqdn()}\npassword={t.pw()}\n" for n in range(5)), "mime attachment"
    )
    t.tree.page(
        f"{top}/message.eml",
        f"From: {t.name()} <{t.email()}>\n"
        f"To: {mark('email', 'support@vendor-desk.com')}\n"
        "Subject: config\n"
        "MIME-Version: 1.0\n"
        f'Content-Type: multipart/mixed; boundary="{t.keep("=_" + values.hexes(rng, 20), "boundary")}"\n\n'
        "Content-Type: text/plain; name=app.ini\n"
        "Content-Transfer-Encoding: base64\n\n"
        f"{attached}\n",
        "eml",
    )


def look_alikes(t: Teller, top: str) -> None:
    """Tell only what must survive: hashes, versions, certificates, code, listings of packages."""
    rng, page = t.rng, t.tree.page
    page(
        f"{top}/SHA256SUMS",
        "".join(
            f"{t.sha()}  file{n}.bin\n{t.sha('md5')}  file{n}.md5\n{t.sha('sha1')} *file{n}.sha1\n" for n in range(30)
        ),
        "checksums",
    )
    page(
        f"{top}/git.log",
        "".join(f"commit {t.sha('sha1')}\n"
        f"Author: {t.name(p)} <{t.email(p)}>\n"
        f"Date:   Mon Nov 2 10:{n:02}:00 2026 +0100\n\n"
        f"    {t.keep(s, 'prose')}\n\n" for n, (p, s) in enumerate(zip(t.world.people, ["fix token refresh", "bump to version 10.2.0.5", "rename password field", "remove secret scanner noise", "key handling in cache", "use new API"] * 3, strict=False))),
        "git log",
    )  # fmt: skip
    lock = {
        "name": "shop",
        "lockfileVersion": 3,
        "packages": {
            f"node_modules/{n}": {
                "version": t.keep(f"{rng.randint(0, 9)}.{rng.randint(0, 40)}.{rng.randint(0, 40)}", "version"),
                "resolved": t.keep(f"https://registry.npmjs.org/{n}/-/{n}-1.0.{rng.randint(0, 9)}.tgz", "package url"),
                "integrity": t.keep("sha512-" + values.b64(rng, 64), "integrity"),
            }
            for n in (
                "jsonwebtoken",
                "passport",
                "secretbox",
                "keyv",
                "cookie-parser",
                "js-tokens",
                "express-session",
                "bcrypt",
            )
        },
    }
    page(f"{top}/package-lock.json", say_json(lock, indent=2), "package lock", parse=json.loads)
    page(
        f"{top}/build.log",
        "".join(f"{t.plain_time()} [INFO] Downloading {t.keep(f'org.{a}:{b}:jar:{rng.randint(1, 20)}.{rng.randint(0, 20)}.{rng.randint(0, 20)}.{rng.randint(0, 99)}', 'maven')} in {rng.randint(1, 99)} ms\n" for a, b in (("apache.httpcomponents", "httpclient"), ("springframework", "spring-core"), ("bouncycastle", "bcprov-jdk18on"), ("keycloak", "keycloak-adapter-core"), ("jasypt", "jasypt")) for _ in range(4)),
        "build log",
    )  # fmt: skip
    page(
        f"{top}/ca-bundle.crt",
        "".join(
            "".join(t.keep(line, "certificate") + "\n" for line in keys.certificate_pem(rng).splitlines())
            for _ in range(3)
        )
        + "".join(t.keep(line, "public key") + "\n" for line in keys.public_pem(rng).splitlines()),
        "certificates",
    )
    serial = ":".join(values.hexes(rng, 2) for _ in range(20))
    page(
        f"{top}/x509.txt",
        "Certificate:\n"
        "    Data:\n"
        "        Version: 3 (0x2)\n"
        "        Serial Number:\n"
        f"            {t.keep(serial, 'serial')}\n"
        "        Signature Algorithm: sha256WithRSAEncryption\n"
        "            Modulus:\n"
        f"                {t.keep(':'.join(values.hexes(rng, 2) for _ in range(15)) + ':', 'modulus')}\n"
        "            X509v3 Subject Key Identifier:\n"
        f"                {t.keep(':'.join(values.hexes(rng, 2) for _ in range(20)).upper(), 'key identifier')}\n"
        f"            1.3.6.1.4.1.11129.2.4.2: {t.keep('1.3.6.1.5.5.7.3.1', 'oid')}\n"
        f"SHA256 Fingerprint={t.keep(':'.join(values.hexes(rng, 2) for _ in range(32)).upper(), 'fingerprint')}\n",
        "x509 text",
    )
    code = [
        'private static final String PASSWORD_KEY = "password";', 'if (token == null || token.isEmpty()) { throw new AuthException("missing token"); }', "self.password = password", "const password = process.env.DB_PASSWORD;", 'password := os.Getenv("PASS")',
        "String apiKey = config.getApiKey();", "@app.route('/login', methods=['POST'])", "user@Override", "request.headers['Authorization'] = f'Bearer {token}'", '<input type="password" name="password" id="password">', "password: { type: String, required: true }",
        "assertThat(token).isNotNull();", 'private Key key = KeyFactory.getInstance("RSA");', "for key, value in secrets.items():", 'new SecretKeySpec(bytes, "AES")', "--password-file /run/secrets/pw", "SELECT secret_id FROM vault WHERE key = ?", "password_hash = bcrypt.hash(pw)",
        "ssl.key.password=${KEY_PASSWORD}", "passwordEncoder.encode(rawPassword)", "token = tokens[i++];", "case PASSWORD: return prompt();", "export function useToken(): string | undefined {", "label for=password", "it('rejects a bad password', async () => {",
    ]  # fmt: skip
    page(f"{top}/Sample.java", "".join(t.keep(line, "code") + "\n" for line in code), "code")
    page(
        f"{top}/versions.txt",
        f"openssl version {t.version()}\n"
        f"Oracle Database 19c Release {t.keep('19.3.0.0.0', 'version')}\n"
        f"jre-{t.keep('1.8.0.392.b08', 'version')}-2.el8\n"
        f"Firmware: {t.version()}\n"
        f"Chrome/{t.keep('119.0.6045.199', 'version')}\n"
        f"file version = {t.version()}\n"
        f"Agent v{t.version()} started\n"
        f"npm {t.keep('left-pad@1.3.0', 'package')}\n"
        f"{t.keep('libfoo-4.2.1.9-3.el8.x86_64', 'package')}\n"
        f"{t.keep('package-10.1.2.3.tar.gz', 'package')}\n"
        f"snmp oid {t.keep('.1.3.6.1.4.1.2021.10.1', 'oid')}\n"
        f"root@{t.keep('localhost', 'loopback')}\n"
        f"{t.keep('org.apache.commons.net.util.SubnetUtils', 'class')}\n"
        f"{t.keep('com.sun.jndi.ldap.LdapCtx', 'class')}\n"
        f"MAC {t.keep('00:00:00:00:00:00', 'null mac')} and {t.keep('ff:ff:ff:ff:ff:ff', 'broadcast')} at {t.keep('127.0.0.53', 'loopback')} mask {t.keep('255.255.240.0', 'netmask')}, mcast {t.keep('239.255.255.250', 'multicast')}, {t.keep('fe80::/10', 'prefix')}, {t.keep('::', 'any')}\n"
        f"epoch {t.keep(values.like(rng, '17[0-9]{8}'), 'epoch')} ms {t.keep(values.like(rng, '17[0-9]{11}'), 'epoch')} duration {t.keep('00:12:33.120', 'time')} ratio {t.keep('12:34:56', 'time')}\n"
        f"image {t.keep('data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk', 'image')}\n"
        f"imei-like {t.keep('build 20261102.1433.7', 'build')} Error 0x{t.keep('80070005', 'code')} at {t.keep('0x00007ff6' + values.hexes(rng, 8), 'address')}\n"
        f"W3C {t.keep('http://www.w3.org/2001/XMLSchema-instance', 'schema')} {t.keep('urn:oasis:names:tc:SAML:2.0:assertion', 'urn')} {t.keep('https://github.com/kubernetes/kubernetes/issues/1', 'vendor url')}\n",
        "versions",
    )
    metrics = "".join(
        f'http_requests_total{{method="GET",code="200",path="/x{n}"}} {rng.randint(1, 10**9)} {t.keep(values.like(rng, "17[0-9]{11}"), "epoch")}\n'
        for n in range(40)
    )
    page(
        f"{top}/metrics.prom",
        f"# HELP token_refresh_total tokens\n# TYPE token_refresh_total counter\n{metrics}",
        "metrics",
    )
    coredns = "".join(
        f"{t.keep(values.hexes(rng, 12), 'docker id')}   {t.keep('quay.io/prometheus/node-exporter:v1.6.1', 'image')}   Up 3 days   0.0.0.0:{9000 + n}->9100/tcp   {t.one(['exporter', 'agent', 'proxy'])}_{n}\n"
        for n in range(15)
    )
    page(f"{top}/docker_ps.txt", coredns, "docker ps")
    page(
        f"{top}/lspci.txt",
        "".join(
            f"{t.keep(f'0000:{n:02x}:00.{n % 8}', 'pci')} Ethernet controller [0200]: Intel Corporation I350 Gigabit [{t.keep('8086:1521', 'pci id')}] (rev 01)\n"
            for n in range(16)
        ),
        "lspci",
    )
    page(
        f"{top}/smart.txt",
        "".join(
            f"ID# {n} Raw_Read_Error_Rate 0x000f {t.keep('117 099 006', 'numbers')} Pre-fail Always - {t.keep(values.like(rng, '[1-9][0-9]{8}'), 'number')}\n"
            for n in range(15)
        ),
        "smart",
    )
