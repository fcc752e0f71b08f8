"""Tokens of many issuers, from what the issuers publish of their formats: a row each, made at run time."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from tests.scrubber.truth.values import base62_crc32, hexes, like, uuid

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

B62 = "[A-Za-z0-9]"
URL = "[A-Za-z0-9_]"  # of the URL-safe alphabet; the dash is left out where it would end a word

DISTINCT: tuple[tuple[str, str], ...] = (
    ("AWS_ACCESS_KEY_ID", "AKIA[A-Z2-7]{16}"),
    ("AWS_ACCESS_KEY_ID", "ASIA[A-Z2-7]{16}"),
    ("GOOGLE_API_KEY", f"AIza{URL}{{35}}"),
    ("GOOGLE_CLIENT_SECRET", f"GOCSPX-{URL}{{28}}"),
    ("GOOGLE_OAUTH", f"ya29.{URL}{{80,120}}"),
    ("GITHUB_FINE_GRAINED", f"github_pat_{B62}{{22}}_{B62}{{59}}"),
    ("GITLAB_TOKEN", f"glpat-{URL}{{20}}"),
    ("GITLAB_DEPLOY", f"gldt-{URL}{{20}}"),
    ("GITLAB_RUNNER", f"glrt-{URL}{{20}}"),
    ("GITLAB_TRIGGER", "glptt-[a-f0-9]{40}"),
    ("GITLAB_CI_JOB", f"glcbt-[a-f0-9]{{2}}_{URL}{{20}}"),
    ("SLACK_BOT_TOKEN", f"xoxb-[0-9]{{12}}-[0-9]{{13}}-{B62}{{24}}"),
    ("SLACK_USER_TOKEN", "xoxp-[0-9]{12}-[0-9]{12}-[0-9]{13}-[a-f0-9]{32}"),
    ("SLACK_APP_TOKEN", "xapp-1-A[A-Z0-9]{10}-[0-9]{13}-[a-f0-9]{64}"),
    ("SLACK_WEBHOOK", f"https://hooks.slack.com/services/T[A-Z0-9]{{8}}/B[A-Z0-9]{{10}}/{B62}{{24}}"),
    ("TEAMS_WEBHOOK", "https://discord.com/api/webhooks/[0-9]{18}/[A-Za-z0-9_]{68}"),
    ("TELEGRAM_BOT", f"[1-9][0-9]{{9}}:AA{URL}{{33}}"),
    ("TWILIO_API_KEY", "SK[a-f0-9]{32}"),
    ("SENDGRID_API_KEY", f"SG.{URL}{{22}}.{URL}{{43}}"),
    ("MAILGUN_KEY", "key-[a-f0-9]{32}"),
    ("MAILCHIMP_KEY", "[a-f0-9]{32}-us[1-2][0-9]"),
    ("STRIPE_SECRET", f"sk_live_{B62}{{24}}"),
    ("STRIPE_RESTRICTED", f"rk_live_{B62}{{99}}"),
    ("STRIPE_WEBHOOK", f"whsec_{B62}{{32}}"),
    ("SQUARE_TOKEN", f"EAAA{B62}{{60}}"),
    ("SQUARE_SECRET", f"sq0csp-{URL}{{43}}"),
    ("BRAINTREE", "access_token$production$[a-z0-9]{16}$[a-f0-9]{32}"),
    ("SHOPIFY_TOKEN", "shpat_[a-f0-9]{32}"),
    ("SHOPIFY_SECRET", "shpss_[a-f0-9]{32}"),
    ("PYPI_TOKEN", f"pypi-AgEIcHlwaS5vcmc{URL}{{80}}"),
    ("RUBYGEMS_KEY", "rubygems_[a-f0-9]{48}"),
    ("DOCKER_PAT", f"dckr_pat_{URL}{{27}}"),
    ("VAULT_TOKEN", f"hvs.{URL}{{90,100}}"),
    ("VAULT_BATCH", f"hvb.{URL}{{130}}"),
    ("TFC_TOKEN", f"{B62}{{14}}.atlasv1.{B62}{{67}}"),
    ("DIGITALOCEAN_TOKEN", "dop_v1_[a-f0-9]{64}"),
    ("DIGITALOCEAN_OAUTH", "doo_v1_[a-f0-9]{64}"),
    ("NEW_RELIC_KEY", "NRAK-[A-Z0-9]{27}"),
    ("GRAFANA_TOKEN", f"glsa_{B62}{{32}}_[a-f0-9]{{8}}"),
    ("GRAFANA_CLOUD", f"glc_eyJ{B62}{{80}}"),
    ("SENTRY_AUTH", "sntryu_[a-f0-9]{64}"),
    ("OPENAI_API_KEY", f"sk-{B62}{{20}}T3BlbkFJ{B62}{{20}}"),
    ("OPENAI_PROJECT", f"sk-proj-{URL}{{74}}T3BlbkFJ{URL}{{74}}"),
    ("ANTHROPIC_API_KEY", f"sk-ant-api03-{URL}{{93}}AA"),
    ("HF_TOKEN", "hf_[A-Za-z]{34}"),
    ("DATABRICKS_TOKEN", "dapi[a-f0-9]{32}"),
    ("DOPPLER_TOKEN", f"dp.pt.{B62}{{43}}"),
    ("LINEAR_KEY", f"lin_api_{B62}{{40}}"),
    ("NOTION_KEY", f"ntn_[0-9]{{11}}{B62}{{35}}"),
    ("NOTION_OLD", f"secret_{B62}{{43}}"),
    ("FIGMA_TOKEN", f"figd_{URL}{{40}}"),
    ("AIRTABLE_PAT", f"pat{B62}{{14}}.[a-f0-9]{{64}}"),
    ("POSTMAN_KEY", "PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    ("ARTIFACTORY_KEY", f"AKCp{B62}{{69}}"),
    ("SONAR_TOKEN", "squ_[a-f0-9]{40}"),
    ("BUILDKITE_TOKEN", "bkua_[a-f0-9]{40}"),
    ("NETLIFY_TOKEN", f"nfp_{B62}{{36}}"),
    ("SUPABASE_TOKEN", "sbp_[a-f0-9]{40}"),
    ("PLANETSCALE", f"pscale_tkn_{URL}{{43}}"),
    ("PLANETSCALE_PW", f"pscale_pw_{URL}{{43}}"),
    ("MAPBOX_SECRET", f"sk.eyJ{B62}{{60}}.{B62}{{22}}"),
    ("DROPBOX_TOKEN", f"sl.{URL}{{130,140}}"),
    ("HUBSPOT_TOKEN", "pat-na1-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    ("PULUMI_TOKEN", "pul-[a-f0-9]{40}"),
    ("TAILSCALE_KEY", f"tskey-auth-k{B62}{{10}}CNTRL-{B62}{{32}}"),
    ("ONEPASSWORD_SA", f"ops_eyJ{B62}{{250}}"),
    ("ATLASSIAN_TOKEN", f"ATATT3xFfGF0{URL}{{172}}=[A-F0-9]{{8}}"),
    ("BITBUCKET_APP", f"ATBB{B62}{{32}}"),
    ("FACEBOOK_TOKEN", f"EAAC{B62}{{120}}"),
    ("SALESFORCE_SESSION", f"00D{B62}{{12}}!AQ{B62}{{90}}"),
    ("ADAFRUIT_KEY", f"aio_{B62}{{28}}"),
    ("DYNATRACE_TOKEN", "dt0c01.[A-Z2-7]{24}.[A-Z2-7]{64}"),
    ("EASYPOST_KEY", "EZAK[a-z0-9]{54}"),
    ("FRAMEIO", f"fio-u-{URL}{{64}}"),
    ("READ_ME", "rdme_[a-z0-9]{70}"),
    ("SENDINBLUE_KEY", f"xkeysib-[a-f0-9]{{64}}-{B62}{{16}}"),
    ("PREFECT_KEY", "pnu_[a-z0-9]{36}"),
    ("TYPEFORM", f"tfp_{URL}{{59}}"),
    ("CONTENTFUL_PAT", f"CFPAT-{URL}{{43}}"),
    ("REPLICATE", "r8_[A-Za-z0-9]{37}"),
    ("GROQ_KEY", f"gsk_{B62}{{52}}"),
    ("PERPLEXITY", f"pplx-{B62}{{48}}"),
    ("FLUTTERWAVE", "FLWSECK-[a-f0-9]{32}-X"),
    ("AGE_KEY", "AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    ("AZURE_AD_SECRET", f"{B62}{{3}}8Q~{URL}{{34}}"),
    ("NUGET_KEY", "oy2[a-z0-9]{43}"),
    ("CLOJARS", "CLOJARS_[a-z0-9]{60}"),
    ("OKTA_SSWS", f"00{URL}{{40}}"),
    ("VERCEL_BLOB", f"vercel_blob_rw_{B62}{{16}}_{B62}{{30}}"),
    ("SOURCEGRAPH", "sgp_[a-f0-9]{40}"),
    ("INFRACOST", f"ico-{B62}{{32}}"),
    ("YANDEX_KEY", f"AQVN{URL}{{35}}"),
    ("ALIBABA_KEY", f"LTAI{B62}{{20}}"),
    ("TENCENT_ID", f"AKID{B62}{{32}}"),
)
"""Tokens that their own form gives away, with the variable that commonly holds them."""

NAMED: tuple[tuple[str, str], ...] = (
    ("AWS_SECRET_ACCESS_KEY", "[A-Za-z0-9/+]{40}"),
    ("aws_session_token", "[A-Za-z0-9/+]{200,300}"),
    ("DD_API_KEY", "[a-f0-9]{32}"),
    ("DATADOG_APP_KEY", "[a-f0-9]{40}"),
    ("CLOUDFLARE_API_TOKEN", f"{URL}{{40}}"),
    ("HEROKU_API_KEY", "[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    ("TWILIO_AUTH_TOKEN", "[a-f0-9]{32}"),
    ("ALGOLIA_ADMIN_KEY", "[a-f0-9]{32}"),
    ("PAGERDUTY_TOKEN", f"{URL}{{20}}"),
    ("FASTLY_API_TOKEN", f"{URL}{{32}}"),
    ("CONSUL_HTTP_TOKEN", "[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    ("SPLUNK_HEC_TOKEN", "[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    ("SONARQUBE_TOKEN", "[a-f0-9]{40}"),
    ("CIRCLE_TOKEN", "[a-f0-9]{40}"),
    ("SNYK_TOKEN", "[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    ("AZURE_CLIENT_SECRET", f"{B62}{{34}}"),
    ("AUTH0_CLIENT_SECRET", f"{URL}{{64}}"),
    ("ASANA_PAT", "1/[0-9]{16}:[a-f0-9]{32}"),
    ("client_secret", f"{B62}{{32}}"),
    ("api_key", f"{B62}{{32}}"),
    ("app_secret", "[a-f0-9]{32}"),
    ("signing_key", "[A-Za-z0-9/+]{43}="),
    ("SECRET_KEY_BASE", "[a-f0-9]{128}"),
    ("DJANGO_SECRET_KEY", "[a-z0-9#!@$%^&*(_+]{50}"),
    ("JWT_SECRET", f"{B62}{{48}}"),
    ("ENCRYPTION_KEY", "[a-f0-9]{64}"),
    ("auth_token", f"{B62}{{40}}"),
    ("refresh_token", f"1//0{URL}{{60}}"),
    ("webhookSecret", "[a-f0-9]{40}"),
    ("apiToken", f"{B62}{{36}}"),
    ("clientSecret", f"{B62}{{40}}"),
    ("SECRET_TOKEN", "[a-f0-9]{64}"),
    ("rabbitmq_erlang_cookie", "[A-Z]{20}"),
)
"""Tokens that only their key's name gives away."""


def _crc(prefix: str, length: int) -> Callable[[Random], str]:
    def make(rng: Random) -> str:
        body = like(rng, f"{B62}{{{length}}}")
        return prefix + body + base62_crc32(body)

    return make


CHECKED: tuple[tuple[str, Callable[[Random], str]], ...] = (
    ("GITHUB_TOKEN", _crc("ghp_", 30)),
    ("GITHUB_OAUTH", _crc("gho_", 30)),
    ("GITHUB_APP", _crc("ghs_", 30)),
    ("NPM_TOKEN", _crc("npm_", 30)),
)
"""Tokens with a check sum."""


def distinct_token(rng: Random) -> tuple[str, str]:
    """Give a variable's name and a token that is known by its form."""
    at = rng.randrange(len(DISTINCT) + 3 * len(CHECKED))
    if at < len(DISTINCT):
        name, pattern = DISTINCT[at]
        return name, like(rng, pattern)
    name, make = CHECKED[at % len(CHECKED)]
    return name, make(rng)


def named_token(rng: Random) -> tuple[str, str]:
    """Give a key's name and a token that only this name tells."""
    name, pattern = rng.choice(NAMED)
    while True:
        made = like(rng, pattern)
        if any(letter.isdigit() for letter in made) or pattern == "[A-Z]{20}":
            return name, made


def azure_connection(rng: Random) -> tuple[str, str]:
    """Give the account and the key of an Azure storage connection string."""
    return like(rng, "st[a-z]{8}[0-9]{3}"), base64.b64encode(rng.randbytes(64)).decode()


def service_account_ids(rng: Random) -> tuple[str, str]:
    """Give the key id and the client id of a Google service account."""
    return hexes(rng, 40), like(rng, "1[0-9]{20}")


def trace(rng: Random) -> str:
    """Give an identifier of a request: no secret."""
    return rng.choice([uuid(rng), hexes(rng, 32), hexes(rng, 16)])
