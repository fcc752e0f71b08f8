"""Read the configuration file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mft.config.check import check
from mft.config.decode import Decoder, describe
from mft.config.document import MAX_BYTES, Document, parse_document, path_text
from mft.config.errors import ConfigError, Fault
from mft.config.model import Config
from mft.config.settle import settle

if TYPE_CHECKING:
    from collections.abc import Mapping


def load_config(path: Path, environment: Mapping[str, str]) -> Config:
    """Read and check the configuration in the YAML file *path*.

    Relative paths in it begin at its directory; `${NAME}` in a text is taken from *environment*.

    Raises:
        ConfigError: with every fault that was found.
    """
    base = Path(path).absolute().parent
    return _config(load_document(path), base=base, environment=environment)


def parse_config(
    data: Mapping[str, object], *, base: Path, environment: Mapping[str, str] | None = None, name: str = "configuration"
) -> Config:
    """Check a configuration that is plain data already (as YAML or JSON give it); otherwise as `load_config`."""
    return _config(Document(file=name, data=data), base=base.absolute(), environment=environment or {})


def load_document(path: Path) -> Document:
    """Read one YAML file.

    Raises:
        ConfigError: it cannot be read, or is not YAML.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        fault = Fault(file=str(path), path="", expected="a file that can be read", found=error.strerror or "an error")
        raise ConfigError((fault,)) from error
    except UnicodeDecodeError as error:
        fault = Fault(file=str(path), path="", expected="UTF-8", found=f"other bytes at offset {error.start}")
        raise ConfigError((fault,)) from error
    if len(raw) > MAX_BYTES:
        raise ConfigError((Fault(file=str(path), path="", expected=f"at most {MAX_BYTES} bytes"),))
    return parse_document(text, str(path))


def _config(document: Document, *, base: Path, environment: Mapping[str, str]) -> Config:
    decoder = Decoder(document, base=base, environment=environment)
    if not isinstance(document.data, dict):
        fault = Fault(file=document.file, path="", expected="a map of keys and values", found=describe(document.data))
        raise ConfigError((fault,))
    config = cast("Config", decoder.record(Config, document.data, ()))
    if not config.data.is_absolute():
        config = replace(config, data=base / config.data)
    config = settle(config)
    broken = {fault.path.partition(".")[0].partition("[")[0] for fault in decoder.faults}
    faulty = {fault.path for fault in decoder.faults}
    for path, expected, found in check(config, broken):
        if not any(each == path_text(path) or each.startswith(f"{path_text(path)}.") for each in faulty):
            decoder.fault(path, expected, found=found)
    if decoder.faults:
        raise ConfigError(tuple(sorted(decoder.faults, key=lambda fault: fault.line or 0)))
    return config
