"""`mft config check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mft.config import Config, Fault, RegionConfig

File = Annotated[Path, typer.Argument(metavar="FILE", envvar="MFT_CONFIG", help="The configuration file.")]

Offline = Annotated[bool, typer.Option("--offline", help="Leave out what needs the network: object stores.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(help="Check the configuration.", no_args_is_help=True, rich_markup_mode=None)
    group.command("check")(check)
    app.add_typer(group, name="config")


def check(file: File, *, offline: Offline = False) -> None:
    """Say what is wrong with a configuration, all of it, with the files that it names, and with its object stores.

    Each bucket is tried: something small is written, read and deleted there. Nothing else is changed.
    """
    config = options.load(file)
    check_files(config)
    if not offline:
        check_buckets(config)
    listeners = ", ".join(
        f"{listener.protocol} {listener.address}:{listener.port} ({listener.region})" for listener in config.listeners
    )
    typer.echo(f"{file}: good")
    typer.echo(f"  installation  {config.installation}")
    typer.echo(f"  data          {config.data}")
    typer.echo(f"  listeners     {listeners}")
    typer.echo(f"  regions       {', '.join(config.regions)}; home {config.residency.home}")
    for name, region in config.regions.items():
        place = region.store.path if region.store.bucket is None else "/".join(filter(None, region.store.place[1:]))
        typer.echo(f"  store         {name}: {region.store.kind} {place}")
    typer.echo(f"  catalog       {config.catalog.path} ({config.catalog.region})")
    typer.echo(f"  case lookup   {config.lookup.url or config.lookup.type}")


def check_buckets(config: Config) -> None:
    """Try every region's object store.

    Raises:
        ConfigError: with every one that cannot be used, and why.
    """
    from mft.config import ConfigError, Fault  # noqa: PLC0415  keeps `mft --help` quick
    from mft.stores import open_store  # noqa: PLC0415
    from storage.errors import StorageError  # noqa: PLC0415
    from storage.probe import probe  # noqa: PLC0415

    faults = []
    for name, region in config.regions.items():
        if region.store.bucket is None:
            continue
        try:
            probe(open_store(region.store, name))
        except StorageError as error:
            path = f"regions.{name}.store.{region.store.kind}"
            expected = "a bucket that can be written, read and deleted in (--offline leaves this out)"
            faults.append(Fault(file="the configuration", path=path, problem=str(error), expected=expected))
    if faults:
        raise ConfigError(tuple(faults))


def check_files(config: Config) -> None:
    """Read what the server reads at its start besides the configuration itself.

    Raises:
        ConfigError: with every fault.
    """
    from mft.config import ConfigError  # noqa: PLC0415  keeps `mft --help` quick

    faults = tuple(_file_faults(config))
    if faults:
        raise ConfigError(faults)


def _file_faults(config: Config) -> Iterator[Fault]:
    """Try what the server will read at start."""
    from mft.config import ConfigError, load_lookup_secret, load_lookup_table  # noqa: PLC0415

    for name, region in config.regions.items():
        yield from _region_faults(region, name)
    yield from _provider_faults(config)
    try:
        load_lookup_secret(config.lookup)
        table = load_lookup_table(config.lookup)
    except ConfigError as error:
        yield from error.faults
    else:
        if config.lookup.type == "static":
            yield from _table_faults(config, table)
        elif config.lookup.type != "registry":
            yield from _adapter_faults(config)
    yield from _webhook_faults(config)
    named = {
        "webhooks.outgoing.ca_file": config.webhooks.outgoing.ca_file,
        "lookup.ca_file": config.lookup.ca_file,
        "lookup.client_certificate": config.lookup.client_certificate,
        "lookup.client_key": config.lookup.client_key,
        "https.certificate": config.https.certificate,
        "https.key": config.https.key,
    }
    for key, path in named.items():
        if path is not None:
            yield from _unreadable(key, path)


def _provider_faults(config: Config) -> Iterator[Fault]:
    """Read what opens tokens and key services, without asking one."""
    from mft.config import ConfigError  # noqa: PLC0415  keeps `mft --help` quick
    from mft.config.secrets import load_pin, load_secret  # noqa: PLC0415

    places = [
        (f"regions.{name}.keys", region.keys.pkcs11, region.keys.vault) for name, region in config.regions.items()
    ]
    for index, each in enumerate(config.customer_keys):
        places.append((f"customer_keys[{index}].provider", each.provider.pkcs11, each.provider.vault))
    for place, token, vault in places:
        try:
            if token is not None:
                load_pin(token, f"{place}.pkcs11")
            if vault is not None and vault.secret_id_file is not None:
                load_secret(vault.secret_id_file, f"{place}.vault.secret_id_file")
            if vault is not None and vault.token_file is not None:
                load_secret(vault.token_file, f"{place}.vault.token_file")
        except ConfigError as error:
            yield from error.faults
        if token is not None:
            yield from _unreadable(f"{place}.pkcs11.module", token.module)
        if vault is not None and vault.ca_file is not None:
            yield from _unreadable(f"{place}.vault.ca_file", vault.ca_file)


def _region_faults(region: RegionConfig, name: str) -> Iterator[Fault]:
    from mft.config import ConfigError, load_passphrase  # noqa: PLC0415  keeps `mft --help` quick
    from mft.stores import bucket_of  # noqa: PLC0415

    try:
        load_passphrase(region.keyring, name)
    except ConfigError as error:
        yield from error.faults
    if region.store.bucket is not None:
        try:
            bucket_of(region.store, name)
        except ConfigError as error:
            yield from error.faults


def _webhook_faults(config: Config) -> Iterator[Fault]:
    from mft.config import ConfigError  # noqa: PLC0415  keeps `mft --help` quick
    from mft.config.secrets import load_webhook_secrets  # noqa: PLC0415

    files = {"webhooks.incoming.secret_files": config.webhooks.incoming.secret_files}
    for index, endpoint in enumerate(config.webhooks.outgoing.endpoints):
        files[f"webhooks.outgoing.endpoints[{index}].secret_files"] = endpoint.secret_files
    for key, paths in files.items():
        try:
            load_webhook_secrets(paths, key)
        except ConfigError as error:
            yield from error.faults


def _table_faults(config: Config, table: Mapping[str, object]) -> Iterator[Fault]:
    from casemap.errors import InvalidRecordError  # noqa: PLC0415  keeps `mft --help` quick
    from casemap.static import StaticLookup  # noqa: PLC0415
    from mft.config import Fault  # noqa: PLC0415

    try:
        StaticLookup(table)
    except InvalidRecordError as error:
        file = str(config.lookup.table) if isinstance(config.lookup.table, Path) else "the table in the configuration"
        yield Fault(file=file, path="lookup.table", problem=str(error), expected="the records of docs/integrate.md")


def _adapter_faults(config: Config) -> Iterator[Fault]:
    """Make what asks the case system, without asking it."""
    from casemap.errors import LookupSettingsError  # noqa: PLC0415  keeps `mft --help` quick
    from mft.config import Fault  # noqa: PLC0415
    from mft.lookups import open_http_adapter  # noqa: PLC0415

    try:
        open_http_adapter(config.lookup).close()
    except LookupSettingsError as error:
        place, _, problem = str(error).partition(": ")
        if not place.startswith("lookup."):
            place, problem = "lookup", str(error)
        yield Fault(file="the configuration", path=place, problem=problem, expected="what docs/integrate.md describes")


def _unreadable(key: str, path: Path) -> Iterator[Fault]:
    from mft.config import Fault  # noqa: PLC0415  keeps `mft --help` quick

    try:
        with path.open("rb"):
            return
    except OSError as error:
        yield Fault(file=str(path), path=key, expected="a file that can be read", found=error.strerror or "an error")
