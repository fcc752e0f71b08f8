"""Configurations: of applications, of clouds and clusters, of network devices."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import yaml

from tests.scrubber.truth import keys, tokens, values
from tests.scrubber.truth.mark import base64_of, mark
from tests.scrubber.truth.weblogs import say_json

if TYPE_CHECKING:
    from tests.scrubber.truth.teller import Teller

WORDS = (
    "password", "passwd", "pwd", "db_password", "dbPassword", "DB_PASS", "secret", "client_secret", "passphrase", "smtp_password", "admin_password",
    "ldap.bind.password", "keystorePassword", "truststore_password", "root-password", "mysql_root_password", "userPassword", "proxy_pass",
    "Passwort", "Kennwort", "mot_de_passe", "motdepasse", "contraseña", "clave_secreta", "senha", "hasło", "lösenord", "wachtwoord", "salasana",
    "bind_password", "encryption_passphrase", "http_basic_password", "vnc_password", "sa_password", "cluster_secret", "shared_secret", "radius_secret",
    "access_key_secret", "master_password", "ftp_pass", "api_secret", "consumer_secret", "webhook_secret", "session_secret", "cookie_secret", "app_key_secret",
)  # fmt: skip
PLACEHOLDERS = (
    "${DB_PASSWORD}", "${DB_PASSWORD:-}", "{{ vault_db_password }}", "<redacted>", "********", "%DB_PASSWORD%",
    "null", "xxxxxxxx", "$PGPASSWORD", "{{ .Values.db.password }}", "<your-password-here>", "@DB_PASSWORD@", "REDACTED", "#{db_password}",
)  # fmt: skip
SETTINGS = (
    ("password_min_length", "12"), ("password_policy", "strong"), ("token_ttl", "3600"), ("max_tokens", "4096"), ("secret_name", "orders-db"), ("password_file", "/run/secrets/db"),
    ("key_size", "2048"), ("primary_key", "id"), ("cache_key", "page_7"), ("token_endpoint", "/oauth2/token"), ("password_reset_enabled", "true"), ("public_key_path", "/etc/app/pub.pem"),
    ("ssl_certificate_key", "/etc/ssl/private/site.key"), ("api_key_header", "X-Api-Key"), ("pass_through", "true"), ("key_algorithm", "RSA"), ("tokenizer", "whitespace"),
    ("password_encoder", "bcrypt"), ("session_timeout", "1800"), ("secret_rotation_days", "90"), ("cookie_name", "JSESSIONID"), ("keyspace", "orders"), ("foreign_key_checks", "1"),
)  # fmt: skip


def applications(t: Teller, top: str) -> None:
    """Tell one application's settings in nine dialects."""
    page, rng = t.tree.page, t.rng
    words = list(WORDS)
    rng.shuffle(words)
    ini, props, env = ["[database]"], ["# settings"], []
    doc: dict[str, object] = {}
    for number, word in enumerate(words):
        section: dict[str, object] = {"host": t.fqdn(), "port": rng.randint(1000, 9999), word: t.pw(), "enabled": True}
        doc[f"service_{number}"] = section
        ini += [f"{word} = {t.pw(safe=rng.random() < 0.6)}", f"host{number}={t.fqdn()}"]
        props += [
            f"app.s{number}.{word}{t.one(['=', ': ', ' = '])}{t.pw()}",
            f"app.s{number}.url=https\\://{t.fqdn()}/x",
        ]
        env.append(f"{word.upper().replace('.', '_').replace('-', '_')}={t.one(['', '', chr(34), chr(39)])}")
        env[-1] += t.pw() + (env[-1][-1] if env[-1][-1] in "\"'" else "")
    ini.append("[settings]")
    for name, value in SETTINGS:
        ini.append(t.keep(f"{name} = {value}", "setting"))
        props.append(t.keep(f"app.{name}={value}", "setting"))
    for holder in PLACEHOLDERS:
        ini.append(f"password = {t.keep(holder, 'placeholder')}")
        env.append(f"DB_PASSWORD={t.keep(holder, 'placeholder')}")
    doc["settings"] = {name: t.keep(value, "setting") for name, value in SETTINGS}
    doc["holders"] = [{"password": t.keep(holder, "placeholder")} for holder in PLACEHOLDERS]
    page(f"{top}/app.ini", "\n".join(ini) + "\n", "ini")
    page(f"{top}/application.properties", "\n".join(props) + "\n", "properties")
    page(f"{top}/.env", "\n".join(env) + "\n", "env file")
    page(f"{top}/config.json", say_json(doc, indent=2) + "\n", "json", parse=json.loads)
    page(f"{top}/config.min.json", say_json(doc), "json in one line", parse=json.loads)
    page(
        f"{top}/escaped.json",
        say_json(
            {
                "config": json.dumps({"db": {"user": "U", "password": "P"}})
                .replace("U", t.user())
                .replace("P", t.pw()),
                "key": t.pem(keys.pkcs8),
                "note": "line one\nline two",
            }
        ),
        "json escaped",
        parse=json.loads,
    )
    page(
        f"{top}/ascii.json",
        '{"title":"Pr\\u00fcfung","Passwort":"'
        + t.pw()
        + '","html":"\\u003cinput type=\\u0022password\\u0022 value=\\u0022'
        + t.pw()
        + '\\u0022\\u003e","mail":"'
        + mark("email", t.person().email.replace("@", "\\u0040"))
        + '"}\n',
        "json \\u",
        parse=json.loads,
    )
    lines = ["---", "database:"]
    for word in words:
        quote_ = t.one(["", '"', "'"])
        lines += [f"  {word}: {quote_}{t.pw()}{quote_}", f"  {word}_host: {t.fqdn()}"]
    lines += ["settings:", *(f"  {t.keep(f'{name}: {value}', 'setting')}" for name, value in SETTINGS)]
    lines += [
        "tls:",
        "  key: |",
        t.pem(keys.pkcs8, indent="    ").rstrip("\n"),
        "  cert: |",
        *("    " + t.keep(line, "certificate") for line in keys.certificate_pem(rng).splitlines()),
    ]
    lines += [
        "users:",
        *(f"  - {{name: {t.user()}, password: {t.pw()}, uid: {rng.randint(1000, 2000)}}}" for _ in range(5)),
    ]
    lines += [
        "folded:",
        "  password: >-",
        f"    {t.pw()}",
        f"image: {t.keep('registry.example.com/shop/web:1.27.0.4', 'image')}",
    ]
    page(f"{top}/config.yaml", "\n".join(lines) + "\n", "yaml", parse=yaml.safe_load)
    toml = [f'title = "app"\n[db]\nserver = "{t.ip()}"'] + [
        f'{word.replace(".", "_")} = "{t.pw()}"' for word in words if word.isascii()
    ]
    toml += ["[settings]", *(t.keep(f'{name} = "{value}"', "setting") for name, value in SETTINGS)]
    page(f"{top}/config.toml", "\n".join(toml) + "\n", "toml", parse=tomllib.loads)
    xml = ['<?xml version="1.0" encoding="UTF-8"?>', "<config>"]
    for word in words:
        tag = word.replace(".", "-")
        xml.append(
            t.one(
                [
                    f"  <{tag}>{t.pw()}</{tag}>",
                    f'  <property name="{word}" value="{t.pw()}"/>',
                    f'  <datasource {tag}="{t.pw()}" url="https://{t.fqdn()}/"/>',
                    f'  <entry key="{word}">{t.pw()}</entry>',
                ]
            )
        )
    xml.append(
        f'  <note>Rock &amp; Roll &lt;b&gt;</note><password encrypted="false">{mark("password", "a&amp;" + values.like(rng, "[A-Za-z0-9]{9}"))}</password>'
    )
    xml += [f"  <setting>{t.keep(f'<{name}>{value}</{name}>', 'setting')}</setting>" for name, value in SETTINGS]
    modulus = t.keep(values.b64(rng, 128), "modulus")
    xml.append(
        f"  <RSAKeyValue><Modulus>{modulus}</Modulus><Exponent>AQAB</Exponent><P>{mark('key', values.b64(rng, 64), 'RSAKeyValue')}</P><D>{mark('key', values.b64(rng, 128), 'RSAKeyValue')}</D></RSAKeyValue>"
    )
    page(f"{top}/config.xml", "\n".join(xml) + "\n</config>\n", "xml", parse=ET.fromstring)
    page(
        f"{top}/settings.py",
        f"SECRET_KEY = '{mark('token', values.like(rng, '[a-z0-9]{50}'), 'django SECRET_KEY')}'\n"
        f"DATABASES = {{'default': {{'ENGINE': 'django.db.backends.postgresql', 'USER': '{t.user()}', 'PASSWORD': '{t.pw()}', 'HOST': '{t.fqdn()}'}}}}\n"
        f"AUTH_PASSWORD_VALIDATORS = [{{'NAME': {t.keep(chr(39) + 'django.contrib.auth.password_validation.MinimumLengthValidator' + chr(39), 'class')}}}]\n"
        f'EMAIL_HOST_PASSWORD = "{t.pw()}"\n'
        f"{t.keep('PASSWORD = os.environ[' + chr(34) + 'DB_PASSWORD' + chr(34) + ']', 'code')}\n"
        f"{t.keep('password = get_password(user)', 'code')}\n"
        f"{t.keep('def check(password: str, token: str | None = None) -> bool:', 'code')}\n",
        "python",
    )
    page(
        f"{top}/wp-config.php",
        "<?php\n"
        "define('DB_NAME', 'wp');\n"
        f"define('DB_PASSWORD', '{t.pw()}');\n"
        f"define( 'AUTH_KEY', '{mark('token', values.like(rng, '[A-Za-z0-9!@#%^&*()_+=|:;<>,./-]{64}'), 'php AUTH_KEY')}' );\n"
        f"$cfg['Servers'][1]['password'] = '{t.pw()}';\n"
        f"$mysqli = new mysqli('{t.ip()}', 'app', '{t.pw()}', 'shop');\n"
        f"{t.keep('if (password_verify($password, $hash)) {', 'code')}\n",
        "php",
    )
    page(
        f"{top}/tnsnames.ora",
        "ORCL =\n"
        f"  (DESCRIPTION = (ADDRESS = (PROTOCOL = TCP)(HOST = {t.fqdn()})(PORT = 1521))\n"
        f"    (CONNECT_DATA = (SERVER = DEDICATED)(SERVICE_NAME = orcl.{t.domain()})))\n",
        "tnsnames",
    )
    account, key = tokens.azure_connection(rng)
    page(
        f"{top}/connections.txt",
        "".join(f"{line}\n" for line in (
            f"amqp://{t.user()}:{t.pw()}@{t.fqdn()}:5672/vhost", f"redis://:{t.pw()}@{t.ip()}:6379/0", f"mongodb+srv://app:{t.pw()}@{t.fqdn()}/shop?retryWrites=true",
            f"DefaultEndpointsProtocol=https;AccountName={account};AccountKey={mark('token', key, 'AccountKey')};EndpointSuffix=core.windows.net",
            f"Server=tcp:{t.fqdn()},1433;Database=shop;Uid=app;Pwd={t.pw()};Encrypt=yes;", f"Driver={{ODBC Driver 18 for SQL Server}};Server={t.ip()};UID=sa;PWD={{{t.pw()}}};",
            f"Endpoint=sb://{t.world.company}.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey={mark('token', values.b64(rng, 32), 'SharedAccessKey')}",
            f"ftp://{t.user()}:{t.pw()}@{t.fqdn()}/pub", f"smtp://{t.world.company}:{t.pw()}@{t.fqdn()}:587", f"jdbc:sqlserver://{t.fqdn()}:1433;databaseName=x;user=sa;password={t.pw()};",
            f"ldap://cn=admin:{t.pw()}@{t.fqdn()}:389", f"postgres://app@{t.fqdn()}/x?password={t.pw()}&sslmode=require", f"otpauth://totp/ACME:{t.email()}?secret={mark('token', values.like(rng, '[A-Z2-7]{32}'), 'otpauth')}&issuer=ACME",
            f"socks5://{t.user()}:{t.pw()}@{t.ip()}:1080", f"sftp://{t.user()}:{mark('password', 'p%40' + values.like(rng, '[a-z0-9]{8}'))}@{t.fqdn()}/in",
        )),
        "connection string",
    )  # fmt: skip


def clouds(t: Teller, top: str) -> None:
    """Tell Kubernetes, Helm, Terraform, compose, CI and cloud credentials."""
    page, rng = t.tree.page, t.rng
    aws_id, aws_secret = (
        mark("token", values.like(rng, "AKIA[A-Z2-7]{16}"), "aws id"),
        mark("token", values.like(rng, "[A-Za-z0-9/+]{40}"), "aws secret"),
    )
    page(
        f"{top}/.aws/credentials",
        "[default]\n"
        f"aws_access_key_id = {aws_id}\n"
        f"aws_secret_access_key = {aws_secret}\n"
        "region = eu-central-1\n\n"
        "[prod]\n"
        f"role_arn = arn:aws:iam::{t.keep('4711' + values.like(rng, '[0-9]{8}'), 'account')}:role/Ops\n"
        "source_profile = default\n",
        "aws credentials",
    )
    kid, cid = tokens.service_account_ids(rng)
    page(
        f"{top}/sa.json",
        say_json({"type": "service_account", "project_id": f"{t.world.company}-prod", "private_key_id": t.keep(kid, "key id"), "private_key": t.pem(keys.pkcs8), "client_email": mark("email", f"svc@{t.world.company}-prod.iam.gserviceaccount.com"), "client_id": t.keep(cid, "client id"), "auth_uri": "https://accounts.google.com/o/oauth2/auth"}, indent=2),
        "service account", parse=json.loads,
    )  # fmt: skip
    config = say_json(
        {"auths": {f"registry.{t.world.domain}": {"auth": base64_of(f"{t.user()}:{t.pw()}", "docker auth")}}}
    )
    page(f"{top}/.docker/config.json", config, "docker config", parse=json.loads)
    secret = (
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: orders-db\n  namespace: shop\n"
        f"  uid: {t.uuid()}\n"
        f'  resourceVersion: "{t.keep("8" + values.like(rng, "[0-9]{8}"), "version")}"\n'
        "type: Opaque\n"
        "data:\n"
        f"  password: {base64_of(t.pw(), 'k8s data')}\n"
        f"  username: {base64_of(mark('free', 'app'), 'k8s data')}\n"
        f"  config.yml: {base64_of('db:' + chr(10) + '  host: ' + t.fqdn() + chr(10) + '  password: ' + t.pw() + chr(10), 'k8s data')}\n"
        f"  tls.key: {base64_of(t.pem(keys.pkcs8), 'k8s data')}\n"
        f"  tls.crt: {t.keep(base64_of(keys.certificate_pem(rng)).split(chr(0xE001))[1].rstrip(chr(0xE002)), 'certificate base64')}\n"
        "stringData:\n"
        f"  token: {t.token()[1]}\n"
        f"  dsn: postgres://app:{t.pw()}@{t.fqdn()}/x\n"
    )
    page(f"{top}/k8s/secret.yaml", secret, "k8s secret", parse=yaml.safe_load)
    page(
        f"{top}/k8s/deployment.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n    spec:\n"
        f"      nodeName: {t.fqdn()}\n"
        "      imagePullSecrets:\n"
        f"      - name: {t.keep('regcred', 'secret name')}\n"
        "      containers:\n"
        "      - name: web\n"
        f"        image: {t.keep('nginx:1.25.3', 'image')}\n"
        "        env:\n"
        "        - name: DB_PASSWORD\n"
        f'          value: "{t.pw()}"\n'
        "        - name: API_TOKEN\n"
        f"          value: {t.named()[1]}\n"
        "        - name: DB_USER\n"
        "          valueFrom:\n"
        "            secretKeyRef:\n"
        f"              name: {t.keep('orders-db', 'secret name')}\n"
        f"              key: {t.keep('password', 'secret name')}\n"
        "        volumeMounts:\n"
        f"        - mountPath: {t.keep('/var/run/secrets/tokens', 'path')}\n"
        "          name: tls\n"
        "      volumes:\n"
        "      - name: tls\n"
        "        secret:\n"
        f"          secretName: {t.keep('web-tls', 'secret name')}\n",
        "k8s deployment", parse=yaml.safe_load,
    )  # fmt: skip
    page(
        f"{top}/k8s/kubeconfig",
        "apiVersion: v1\n"
        "kind: Config\n"
        "clusters:\n"
        "- name: prod\n"
        "  cluster:\n"
        f"    server: https://{t.ip()}:6443\n"
        "users:\n"
        f"- name: {t.user()}\n"
        "  user:\n"
        f"    client-key-data: {base64_of(t.pem(keys.pkcs1), 'kubeconfig')}\n"
        f"    token: {t.jwt()}\n"
        "- name: old\n"
        "  user:\n"
        f"    username: {t.user()}\n"
        f"    password: {t.pw()}\n",
        "kubeconfig", parse=yaml.safe_load,
    )  # fmt: skip
    page(
        f"{top}/helm/values.yaml",
        "replicaCount: 3\n"
        "postgresql:\n"
        "  auth:\n"
        "    username: app\n"
        f"    password: {t.pw()}\n"
        f"    existingSecret: {t.keep('orders-db', 'secret name')}\n"
        f'  postgresqlPassword: "{t.pw()}"\n'
        "grafana:\n"
        f"  adminPassword: {t.pw()}\n"
        "ingress:\n"
        "  hosts:\n"
        f"  - host: {t.fqdn()}\n"
        "image:\n"
        f"  tag: {t.keep('v2.14.0.1', 'version')}\n"
        f"  pullSecret: {t.keep('regcred', 'secret name')}\n"
        "extraEnv:\n"
        f"  SLACK_URL: {mark('token', values.like(rng, 'https://hooks.slack.com/services/T[A-Z0-9]{8}/B[A-Z0-9]{10}/[A-Za-z0-9]{24}'), 'slack webhook')}\n",
        "helm values", parse=yaml.safe_load,
    )  # fmt: skip
    page(
        f"{top}/terraform/main.tf",
        f'provider "aws" {{\n'
        f'  access_key = "{mark("token", values.like(rng, "AKIA[A-Z2-7]{16}"), "aws id")}"\n'
        f'  secret_key = "{mark("token", values.like(rng, "[A-Za-z0-9/+]{40}"), "terraform secret_key")}"\n'
        f"}}\n\n"
        f'resource "aws_db_instance" "main" {{\n'
        '  username = "app"\n'
        f'  password = "{t.pw()}"\n'
        f'  address  = "{t.fqdn()}"\n'
        f"}}\n"
        f'variable "db_password" {{\n'
        "  type      = string\n"
        "  sensitive = true\n"
        f'  default   = "{t.pw()}"\n'
        f"}}\n\n"
        f'resource "x" "y" {{\n'
        f"  password = {t.keep('var.db_password', 'reference')}\n"
        f"  token    = {t.keep('data.vault_generic_secret.t.data[' + chr(34) + 'value' + chr(34) + ']', 'reference')}\n"
        f"}}\n",
        "terraform",
    )
    state = {
        "version": 4,
        "lineage": t.uuid(),
        "resources": [
            {
                "type": "aws_db_instance",
                "instances": [
                    {
                        "attributes": {"address": t.fqdn(), "password": t.pw(), "port": 5432},
                        "private": t.keep("bnVsbA==", "base64 null"),
                    }
                ],
            },
            {
                "type": "tls_private_key",
                "instances": [
                    {
                        "attributes": {
                            "private_key_pem": t.pem(keys.pkcs1),
                            "public_key_openssh": t.keep(keys.public_ssh(rng), "public key"),
                        }
                    }
                ],
            },
        ],
    }
    page(f"{top}/terraform/terraform.tfstate", say_json(state, indent=2), "tfstate", parse=json.loads)
    page(
        f"{top}/docker-compose.yml",
        "services:\n"
        "  db:\n"
        "    image: postgres:15\n"
        "    environment:\n"
        "      POSTGRES_USER: app\n"
        f"      POSTGRES_PASSWORD: {t.pw()}\n"
        "  web:\n"
        "    environment:\n"
        f"      - DB_PASSWORD={t.pw()}\n"
        f"      - SECRET_KEY_BASE={mark('token', values.hexes(rng, 128), 'SECRET_KEY_BASE')}\n"
        "      - TZ=Europe/Berlin\n"
        f"      - PASSWORD_HASHER={t.keep('argon2', 'setting')}\n"
        f"    command: --requirepass {t.pw()}\n"
        "    extra_hosts:\n"
        f'      - "{t.fqdn()}:{t.ip()}"\n',
        "compose", parse=yaml.safe_load,
    )  # fmt: skip
    page(
        f"{top}/.gitlab-ci.yml",
        "deploy:\n"
        "  variables:\n"
        f"    DEPLOY_TOKEN: {t.token()[1]}\n"
        f"    SONAR_TOKEN: {mark('token', values.hexes(rng, 40), 'SONAR_TOKEN')}\n"
        '    GIT_DEPTH: "0"\n'
        "  script:\n"
        f"    - docker login -u gitlab -p {t.keep('$CI_JOB_TOKEN', 'placeholder')} registry\n"
        f"    - 'curl --header \"PRIVATE-TOKEN: {t.token()[1]}\" https://git.{mark('host', t.world.domain)}/api/v4'\n"
        f"    - echo {t.sha('sha1')}\n",
        "ci", parse=yaml.safe_load,
    )  # fmt: skip
    page(
        f"{top}/.npmrc",
        f"registry=https://npm.{mark('host', t.world.domain)}/\n"
        f"//npm.{mark('host', t.world.domain)}/:_authToken={mark('token', values.uuid(rng), 'npmrc')}\n"
        f"//registry/:_password={mark('password', values.b64(rng, 12))}\n"
        f"//registry/:username={t.user()}\n"
        "always-auth=true\n",
        "npmrc",
    )
    page(
        f"{top}/.pypirc",
        "[distutils]\n"
        "index-servers = internal\n\n"
        "[internal]\n"
        f"repository: https://pypi.{mark('host', t.world.domain)}/\n"
        f"username: {t.user()}\n"
        f"password: {t.pw()}\n",
        "pypirc",
    )
    page(
        f"{top}/settings.xml",
        "<settings>\n"
        "  <servers>\n"
        "    <server>\n"
        "      <id>nexus</id>\n"
        f"      <username>{t.user()}</username>\n"
        f"      <password>{t.pw()}</password>\n"
        "    </server>\n"
        "    <server>\n"
        "      <id>gpg</id>\n"
        f"      <passphrase>{t.pw()}</passphrase>\n"
        "    </server>\n"
        "  </servers>\n"
        f"  <mirrors><mirror><url>https://nexus.{mark('host', t.world.domain)}/maven</url></mirror></mirrors>\n"
        "</settings>\n",
        "maven settings", parse=ET.fromstring,
    )  # fmt: skip
    text, private = keys.jwk(rng)
    for value in private:
        text = text.replace(f'"{value}"', '"' + mark("key", value, "jwk") + '"')
    page(f"{top}/jwks.json", text, "jwk", parse=json.loads)
    putty, lines = keys.putty(rng)
    for line in lines:
        putty = putty.replace(line, mark("key", line, "putty"))
    putty = re.sub("(?m)^Private-(?:Lines|MAC).*$", lambda found: mark("free", found.group()), putty)
    page(f"{top}/admin.ppk", putty, "putty")
    page(
        f"{top}/license.properties",
        f"signing.key={mark('key', keys.der_base64(rng), 'der base64')}\nbuild.id={t.uuid()}\n",
        "der base64",
    )
    page(
        f"{top}/ansible/hosts.ini",
        "[web]\n"
        f"{t.fqdn()} ansible_host={t.ip()} ansible_user={t.user()} ansible_ssh_pass={t.pw()} ansible_become_password={t.pw()}\n"
        f"{t.fqdn()} ansible_ssh_private_key_file={t.keep('~/.ssh/id_ed25519', 'path')}\n\n"
        "[all:vars]\n"
        f"ansible_become_pass={t.keep('{{ vault_become }}', 'placeholder')}\n",
        "ansible",
    )


def devices(t: Teller, top: str) -> None:
    """Tell running configurations of routers and firewalls."""
    page, rng, w = t.tree.page, t.rng, t.world

    def type7() -> str:
        return mark("password", values.like(rng, "0[0-9]") + values.hexes(rng, 16).upper(), "cisco type 7")

    net = w.hosts[0].ipv4.rsplit(".", 1)[0]
    page(
        f"{top}/core-sw.cfg",
        "!\n"
        "version 15.2\n"
        "service password-encryption\n"
        "!\n"
        f"hostname {t.short(w.hosts[3])}\n"
        "!\n"
        f"{t.keep('no aaa new-model', 'setting')}\n"
        f"enable secret 5 {mark('hash', '$1$' + values.like(rng, '[A-Za-z0-9./]{4}') + '$' + values.like(rng, '[A-Za-z0-9./]{22}'))}\n"
        f"enable secret 9 {mark('hash', '$9$' + values.like(rng, '[A-Za-z0-9./]{14}') + '$' + values.like(rng, '[A-Za-z0-9./]{43}'))}\n"
        f"enable password {t.pw()}\n"
        f"enable password 7 {type7()}\n"
        "!\n"
        f"username {t.user()} privilege 15 secret 5 {mark('hash', '$1$' + values.like(rng, '[A-Za-z0-9./]{4}') + '$' + values.like(rng, '[A-Za-z0-9./]{22}'))}\n"
        f"username {t.user()} password 7 {type7()}\n"
        f"username {t.user()} privilege 1 password 0 {t.pw()}\n"
        f"ip domain-name {t.domain()}\n"
        "!\n"
        "crypto isakmp policy 10\n"
        " encr aes 256\n"
        " authentication pre-share\n"
        f"crypto isakmp key {t.pw()} address {t.ip()}\n"
        "!\n"
        "key chain OSPF\n"
        " key 1\n"
        f"  key-string 7 {type7()}\n"
        "!\n"
        "interface GigabitEthernet0/1\n"
        " description uplink\n"
        f" ip address {t.ip(w.hosts[3])} {t.keep('255.255.255.0', 'netmask')}\n"
        f" ip ospf message-digest-key 1 md5 {t.pw()}\n"
        f" standby 1 authentication md5 key-string {t.pw()}\n"
        "!\n"
        "router bgp 65010\n"
        f" neighbor {t.ip()} remote-as 65020\n"
        f" neighbor {t.ip()} password {t.pw()}\n"
        "!\n"
        f"ip route {t.keep('0.0.0.0 0.0.0.0', 'any')} {mark('ipv4', w.gateway)}\n"
        f"access-list 10 permit {mark('ipv4', net + '.0')} {t.keep('0.0.0.255', 'wildcard')}\n"
        "!\n"
        f"snmp-server community {t.pw()} RO\n"
        f"snmp-server community {t.pw()} RW 10\n"
        f"snmp-server host {t.ip()} version 2c {t.pw()}\n"
        f"snmp-server user mon grp v3 auth sha {t.pw()} priv aes 128 {t.pw()}\n"
        f"snmp-server location {mark('free', w.company + ' DC1')}\n"
        f"tacacs-server host {t.ip()} key {t.pw()}\n"
        f"radius-server key 7 {type7()}\n"
        f"ntp authentication-key 1 md5 {type7()} 7\n"
        f"ntp server {t.ip()}\n"
        "!\n"
        "line vty 0 4\n"
        f" password 7 {type7()}\n"
        " login local\n"
        " transport input ssh\n"
        " exec-timeout 10 0\n"
        "!\n"
        "line con 0\n"
        f" password {t.pw()}\n"
        "!\n"
        f"mac address-table static {mark('mac', values.mac(rng, 'dots'))} vlan 10 interface Gi0/2\n"
        "end\n",
        "cisco",
    )
    page(
        f"{top}/show_tech.txt",
        f"{t.short(w.hosts[3])}#show version\n"
        f"Cisco IOS Software, Version {t.keep('15.2(7)E4', 'version')}, RELEASE SOFTWARE (fc2)\n"
        f"Base ethernet MAC Address       : {t.mac(w.hosts[3])}\n"
        f"{t.short(w.hosts[3])}#show ip arp\n"
        + "".join(
            f"Internet  {t.ip()}           {rng.randint(0, 90)}   {mark('mac', values.mac(rng, 'dots'))}  ARPA   Vlan10\n"
            for _ in range(25)
        )
        + f"{t.short(w.hosts[3])}#show logging\n"
        + "".join(
            f"{t.syslog_time()}: %SEC_LOGIN-5-LOGIN_SUCCESS: Login Success [user: {t.user()}] [Source: {t.ip()}] [localport: 22]\n"
            for _ in range(15)
        ),
        "cisco show",
    )
    page(
        f"{top}/edge.junos",
        f"version {t.keep('21.4R3-S4.9', 'version')};\n"
        f"system {{\n"
        f"    host-name {t.short(w.hosts[4])};\n"
        f"    root-authentication {{\n"
        f'        encrypted-password "{mark("hash", values.unix_hash(rng))}"; ## SECRET-DATA\n'
        f"    }}\n"
        f"    login {{\n"
        f"        user {t.user()} {{\n"
        "            uid 2001;\n"
        "            class super-user;\n"
        f"            authentication {{\n"
        f'                encrypted-password "{mark("hash", values.unix_hash(rng))}";\n'
        f'                ssh-ed25519 "{t.keep(keys.public_ssh(rng), "public key")}";\n'
        f"            }}\n"
        f"        }}\n"
        f"    }}\n"
        f"    radius-server {{\n"
        f'        {t.ip()} secret "{mark("password", "$9$" + values.like(rng, "[A-Za-z0-9./]{24}"), "junos $9$")}";\n'
        f"    }}\n"
        f"    tacplus-server {{\n"
        f'        {t.ip()} secret "{t.pw()}";\n'
        f"    }}\n"
        f"}}\n"
        f"snmp {{\n"
        f"    community {t.pw()} {{\n"
        "        authorization read-only;\n"
        f"    }}\n"
        f"}}\n"
        f"security {{\n"
        f"    ike {{\n"
        f"        policy p1 {{\n"
        f'            pre-shared-key ascii-text "{mark("password", "$9$" + values.like(rng, "[A-Za-z0-9./]{30}"), "junos $9$")}";\n'
        f"        }}\n"
        f"        gateway gw1 address {t.ip()};\n"
        f"    }}\n"
        f"}}\n"
        f"protocols {{\n"
        f"    bgp {{\n"
        f"        group ext {{\n"
        f'            authentication-key "{t.pw()}";\n'
        f"            neighbor {t.ip()};\n"
        f"        }}\n"
        f"    }}\n"
        f"}}\n"
        f'set system login user {t.user()} authentication encrypted-password "{mark("hash", values.unix_hash(rng))}"\n'
        f"set snmp community {t.pw()} authorization read-only\n"
        f"set security ike policy p2 pre-shared-key ascii-text {t.pw()}\n",
        "junos",
    )

    def enc() -> str:
        return mark("password", values.b64(rng, rng.choice([16, 44, 80])), "fortinet ENC")

    page(
        f"{top}/fw.fortios",
        f"#config-version=FGT60F-{t.keep('7.2.5', 'version')}-FW-build1517-230606:opmode=0:vdom=0\n"
        "config system global\n"
        f'    set hostname "{t.short(w.hosts[6])}"\n'
        "    set admintimeout 30\n"
        "end\n"
        "config system admin\n"
        f'    edit "{t.user()}"\n'
        '        set accprofile "super_admin"\n'
        f"        set password ENC {enc()}\n"
        "    next\n"
        "end\n"
        "config system interface\n"
        '    edit "wan1"\n'
        f"        set ip {t.ip()} {t.keep('255.255.255.248', 'netmask')}\n"
        f"        set macaddr {t.mac()}\n"
        "    next\n"
        "end\n"
        "config user local\n"
        f'    edit "{t.user()}"\n'
        "        set type password\n"
        f"        set email-to {t.email()}\n"
        f"        set passwd ENC {enc()}\n"
        f"        set passwd {t.pw()}\n"
        "    next\n"
        "end\n"
        "config vpn ipsec phase1-interface\n"
        '    edit "hq"\n'
        f"        set remote-gw {t.ip()}\n"
        f"        set psksecret ENC {enc()}\n"
        f"        set psksecret {t.pw()}\n"
        "    next\n"
        "end\n"
        "config user radius\n"
        '    edit "r1"\n'
        f"        set server {t.ip()}\n"
        f"        set secret ENC {enc()}\n"
        "    next\n"
        "end\n"
        "config system snmp community\n"
        "    edit 1\n"
        f'        set name "{t.pw()}"\n'
        "    next\n"
        "end\n"
        "config vpn certificate local\n"
        '    edit "x"\n'
        f'        set private-key "{t.pem(keys.encrypted_pkcs8)}"\n'
        "    next\n"
        "end\n",
        "fortinet",
    )
    page(
        f"{top}/pan.xml",
        '<?xml version="1.0"?>\n'
        f"<config version=\"{t.keep('10.2.0', 'version')}\"><mgt-config><users><entry name=\"{t.user()}\"><phash>{mark('hash', '$1$' + values.like(rng, '[a-z]{8}') + '$' + values.like(rng, '[A-Za-z0-9./]{22}'))}</phash><public-key>{t.keep(values.b64(rng, 90), 'public key')}</public-key></entry></users></mgt-config>"
        f"<network><ike><gateway><entry name=\"gw\"><authentication><pre-shared-key><key>-{mark('password', 'AQ==' + values.b64(rng, 20) + '=' + values.b64(rng, 32), 'pan key')}</key></pre-shared-key></authentication><peer-address><ip>{t.ip()}</ip></peer-address></entry></gateway></ike></network><server-profile><ldap><entry name=\"ad\"><bind-password>{t.pw()}</bind-password><bind-dn>cn=svc</bind-dn></entry></ldap></server-profile></config>\n",
        "pan", parse=ET.fromstring,
    )  # fmt: skip
    page(
        f"{top}/mikrotik.rsc",
        f"# nov/02/2026 10:11:12 by RouterOS {t.keep('7.11.2', 'version')}\n"
        "/interface wireless security-profiles\n"
        f"set default authentication-types=wpa2-psk wpa2-pre-shared-key={t.pw()}\n"
        "/ip address\n"
        f"add address={t.ip()}/24 interface=ether1\n"
        "/ppp secret\n"
        f"add name={t.user()} password={t.pw()} service=l2tp\n"
        "/user\n"
        f'add name={t.user()} password="{t.pw()}" group=full\n'
        "/snmp community\n"
        f"set [ find default=yes ] name={t.pw()}\n"
        "/system identity\n"
        f"set name={t.short()}\n",
        "mikrotik",
    )
    page(
        f"{top}/arista.cfg",
        f"hostname {t.short()}\n"
        f"username {t.user()} privilege 15 role network-admin secret sha512 {mark('hash', values.unix_hash(rng))}\n"
        f"aaa root secret sha512 {mark('hash', values.unix_hash(rng))}\n"
        f"snmp-server community {t.pw()} ro\n"
        f"radius-server host {t.ip()} key 7 {type7()}\n"
        "ip access-list std\n"
        f"   10 permit {t.ip()}\n",
        "arista",
    )
    page(
        f"{top}/f5.conf",
        f"auth user {t.user()} {{\n"
        "    description admin\n"
        f"    encrypted-password {mark('hash', values.unix_hash(rng))}\n"
        "    role admin\n"
        f"}}\n"
        f"ltm pool web {{\n"
        f"    members {{\n"
        f"        {t.ip()}:443 {{ address {t.ip()} }}\n"
        f"    }}\n"
        f"}}\n"
        f"ltm monitor https m {{\n"
        "    username mon\n"
        f"    password {t.pw()}\n"
        '    send "GET /"\n'
        f"}}\n"
        f"sys snmp {{\n"
        f"    communities {{ c {{ community-name {t.pw()} source default }} }}\n"
        f"}}\n",
        "f5",
    )
    page(
        f"{top}/aruba.cfg",
        f'hostname "{t.short()}"\n'
        f'password manager user-name "{t.user()}" sha1 "{mark("hash", values.hexes(rng, 40))}"\n'
        f'snmp-server community "{t.pw()}" operator\n'
        f'radius-server host {t.ip()} key "{t.pw()}"\n'
        "wlan ssid-profile corp\n"
        f"   wpa-passphrase {t.pw()}\n",
        "aruba",
    )
