"""`mft serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mft.cli.options import ConfigPath  # noqa: TC001  typer reads it at run time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mft.config import Config


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve", help="Run the server until SIGTERM.")(serve)


def serve(config: ConfigPath) -> None:
    """Run the server until SIGTERM."""
    import gc  # noqa: PLC0415  keeps `mft --help` quick; so below
    import json  # noqa: PLC0415

    from mft.cli import options  # noqa: PLC0415
    from mft.cli.config import check_files  # noqa: PLC0415
    from mft.server.supervisor import serve as keep  # noqa: PLC0415
    from storage.durable import write_file  # noqa: PLC0415

    gc.disable()  # the server enables it when it is put together: importing makes much and drops little
    loaded = options.load(config)
    check_files(loaded)

    def announce(endpoints: Mapping[str, object]) -> None:
        run = loaded.data / "run" / "endpoints.json"
        write_file(run, (json.dumps(endpoints, indent=2) + "\n").encode(), replace=True)
        for listener in endpoints["listeners"]:  # type: ignore[attr-defined]  # made by `House.endpoints`
            tls = f" ({listener['tls']} TLS)" if "tls" in listener else ""
            typer.echo(
                f"{listener['protocol']}{tls} on {listener['address']} port {listener['port']}, {listener['region']}"
            )
        typer.echo(f"certificate {endpoints['certificate']}, SHA-256 {endpoints['fingerprint']}")

    passphrases = ask_for_passphrases(loaded)
    raise typer.Exit(keep(loaded, announce=announce, passphrases=passphrases, reread=lambda: options.load(config)))


def ask_for_passphrases(config: Config) -> Mapping[str, str]:
    """Ask at the terminal for the passphrases that the configuration leaves to a person; without one, for none.

    A keyring that stays locked keeps its region out of reach until `mft keys unlock`.
    """
    import sys  # noqa: PLC0415  keeps `mft --help` quick

    wanted = [name for name, region in config.regions.items() if region.keyring.prompt]
    if not sys.stdin.isatty():
        return {}
    return {
        name: typer.prompt(
            f"Passphrase of the keyring of {name}",
            hide_input=True,
            confirmation_prompt=not config.regions[name].keyring.path.exists(),
        )
        for name in wanted
    }
