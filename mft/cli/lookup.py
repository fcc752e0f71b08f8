"""`mft lookup`: what the case system says of a login, and whether an endpoint keeps the contract."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, check_regions, open_ledger, printable, show_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from casemap.kit import Check, Samples
    from mft.explanation import Explanation

ConfigFile = options.ConfigPath
MaybeConfig = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="Check the lookup of this configuration, whatever its type."),
]
Login = Annotated[str, typer.Argument(metavar="LOGIN", help="Whose login.")]
OneCase = Annotated[str | None, typer.Option("--case", metavar="NUMBER", help="Explain this case, open or not.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Explain at most so many cases.")]
Region = Annotated[
    str | None, typer.Option("--region", metavar="REGION", help="As if by an entrance of it. Default: residency.home.")
]
AsJson = options.AsJson
Url = Annotated[
    str | None, typer.Argument(metavar="[URL]", help="The endpoint, without /v1. Without it: the configuration's.")
]
SecretFile = Annotated[
    Path | None,
    typer.Option("--secret-file", metavar="FILE", help="The file with the secret that signs requests."),
]
CaFile = Annotated[Path | None, typer.Option("--ca-file", metavar="FILE", help="PEM: the authority to trust.")]
ClientCertificate = Annotated[
    Path | None, typer.Option("--client-certificate", metavar="FILE", help="PEM: a certificate to show (mutual TLS).")
]
ClientKey = Annotated[Path | None, typer.Option("--client-key", metavar="FILE", help="PEM: its private key.")]
SampleLogin = Annotated[str | None, typer.Option("--login", metavar="LOGIN", help="A login that is there.")]
SampleCase = Annotated[str | None, typer.Option("--case", metavar="NUMBER", help="A case that is there.")]
SampleCustomer = Annotated[str | None, typer.Option("--customer", metavar="ID", help="A customer that is there.")]
Timeout = Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="Longest time for one answer.")]

UNKNOWN = 3
"""Exit code of `test`: nobody has that login."""
REFUSED = 4
"""Exit code of `test`: somebody has it and may not log in."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The case system, as the server sees it.", no_args_is_help=True, rich_markup_mode=None)
    group.command("test")(explain)
    group.command("kit")(kit)
    app.add_typer(group, name="lookup")


def explain(
    login: Login,
    *,
    config: ConfigFile = DEFAULT,
    case: OneCase = None,
    region: Region = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """Explain step by step what becomes of a login: what is asked, what comes back, what is decided. Never a secret.

    Exit codes: 0 it may log in; 1 the case system does not answer, or with nonsense; 3 nobody has that login; 4 it may
    not log in.
    """
    from mft.config.layouts import layout_of  # noqa: PLC0415  keeps `mft --help` quick
    from mft.explanation import Explainer, Scene, Verdict  # noqa: PLC0415
    from mft.policy import Narrowing  # noqa: PLC0415
    from mft.server.parts import reader_of, residency_rules  # noqa: PLC0415
    from protocols.session import Origin  # noqa: PLC0415

    with open_ledger(config) as (settings, ledger, _):
        check_regions(settings, [region] if region else ())
        origin = Origin(protocol="sftp", peer="", region=region or settings.residency.home)
        scene = Scene(
            config=settings,
            ledger=ledger,
            rules=residency_rules(settings),
            layout=layout_of(settings.layout),
            reader=lambda principal, case: reader_of(principal, origin, Narrowing(case=case)),
        )
        explainer = Explainer(scene)
        try:
            made = explainer.explain(login, number=case, limit=limit)
        finally:
            explainer.close()
    codes = {Verdict.ENTERS: 0, Verdict.UNANSWERED: 1, Verdict.UNKNOWN: UNKNOWN, Verdict.REFUSED: REFUSED}
    if as_json:
        show_json(_document(made))
    else:
        _show(made)
    raise typer.Exit(codes[made.verdict])


def _show(made: Explanation) -> None:
    for number, step in enumerate(made.steps, start=1):
        typer.echo(f"{number:3}  {step.name:<10} {printable(step.said)}")
        for line in step.details:
            typer.echo(f"{'':16} {printable(line)}")
    words = {
        "enters": "it may log in",
        "unanswered": "no answer that can be used: it gets in nowhere",
        "unknown": "nobody has that login",
        "refused": "it may not log in",
    }
    typer.echo(f"     verdict    {words[made.verdict.value]}")


def _document(made: Explanation) -> dict[str, object]:
    return {
        "verdict": made.verdict.value,
        "steps": [{"step": step.name, "said": step.said, "details": list(step.details)} for step in made.steps],
        "cases": made.cases,
    }


def kit(
    url: Url = None,
    *,
    config: MaybeConfig = None,
    secret_file: SecretFile = None,
    ca_file: CaFile = None,
    client_certificate: ClientCertificate = None,
    client_key: ClientKey = None,
    login: SampleLogin = None,
    case: SampleCase = None,
    customer: SampleCustomer = None,
    timeout: Timeout = 5.0,
    as_json: AsJson = False,
) -> None:
    """Check an endpoint against the lookup contract, a line for each promise; or a configured lookup of any type.

    Nothing is changed there. Exit codes: 0 every promise is kept; 1 one is not.
    """
    from casemap.kit import Samples  # noqa: PLC0415  keeps `mft --help` quick

    samples = Samples(login=login, case=case, customer=customer)
    if (url is None) == (config is None):
        raise typer.BadParameter("give the endpoint's URL with --secret-file, or a configuration with --config")
    if config is not None:
        checks = _configured(config, samples)
    else:
        checks = _endpoint(url or "", secret_file, (ca_file, client_certificate, client_key), samples, timeout=timeout)
    rows = []
    for each in checks:
        rows.append(each)
        if not as_json:
            _show_check(each)
    failed = sum(each.passed is False for each in rows)
    if as_json:
        show_json([dataclasses.asdict(each) for each in rows])
    else:
        kept, left = sum(each.passed is True for each in rows), sum(each.passed is None for each in rows)
        typer.echo(f"{kept} kept, {failed} not kept, {left} left out")
    raise typer.Exit(1 if failed else 0)


def _show_check(each: Check) -> None:
    word = {True: "ok", False: "FAIL", None: "-"}[each.passed]
    seen = f": {printable(each.seen)}" if each.seen else ""
    typer.echo(f"{word:<4} {each.name}{seen}")
    if each.passed is False and each.advice:
        typer.echo(f"       {each.advice}")


def _endpoint(
    url: str,
    secret_file: Path | None,
    certificates: tuple[Path | None, Path | None, Path | None],
    samples: Samples,
    *,
    timeout: float,
) -> Iterator[Check]:
    from casemap.exchange import ExchangeSettings  # noqa: PLC0415  keeps `mft --help` quick
    from casemap.http import HttpLookup, LookupSettings  # noqa: PLC0415
    from casemap.kit import check_endpoint, check_lookup  # noqa: PLC0415
    from mft.config.secrets import load_secret  # noqa: PLC0415

    if secret_file is None:
        raise typer.BadParameter("--secret-file is needed: requests are signed")
    secret = load_secret(secret_file, "--secret-file").encode()
    ca_file, certificate, key = certificates
    try:
        settings = ExchangeSettings(
            url=url,
            connect_timeout=timeout,
            read_timeout=timeout,
            total_timeout=timeout,
            ca_file=ca_file,
            client_certificate=certificate,
            client_key=key,
        )
        lookup = HttpLookup(
            LookupSettings(
                url=url,
                secret=secret,
                connect_timeout=timeout,
                read_timeout=timeout,
                total_timeout=timeout,
                ca_file=ca_file,
                client_certificate=certificate,
                client_key=key,
            )
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        yield from check_endpoint(settings, secret, samples)
        yield from check_lookup(lookup, samples)
    finally:
        lookup.close()


def _configured(path: Path, samples: Samples) -> Iterator[Check]:
    from casemap.kit import check_lookup  # noqa: PLC0415  keeps `mft --help` quick
    from mft.lookups import close_adapter, open_adapter  # noqa: PLC0415

    with open_ledger(path) as (settings, ledger, _):
        adapter = open_adapter(settings.lookup, ledger.database)
        try:
            yield from check_lookup(adapter, samples)
        finally:
            close_adapter(adapter)
