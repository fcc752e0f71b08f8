"""What has to hold between keys.

Each check is pure and names the parts that it reads: it is left out when one of them has a fault of its own.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import os
import re
import unicodedata
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from casemap.grammar import parse_grammar
from casemap.names import parsed_number, safe_title
from mft.config.layouts import layout_faults
from mft.config.places import ResidencyConfig, RuleConfig
from mft.config.stores import store_faults
from mft.config.webhooks import EVENT_TYPES, MOST_SECRETS, event_types, is_endpoint_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet

    from mft.config.access import LookupConfig
    from mft.config.document import KeyPath
    from mft.config.keys import KeysConfig, ProviderConfig, VaultConfig
    from mft.config.model import Config
    from mft.config.webhooks import EndpointConfig


class Finding(NamedTuple):
    """One fault: where, what was expected, and what stands there."""

    path: KeyPath
    expected: str
    found: str = ""


_REGION_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)
_GLOB = re.compile(r"[*?\[]")
_WILDCARDS = {"0.0.0.0", "::", "", "*"}  # noqa: S104  these are compared, not bound to


def check(config: Config, broken: AbstractSet[str]) -> Iterator[Finding]:
    """Yield every fault between keys; *broken* names the parts that have faults of their own."""
    for parts, rule in _CHECKS:
        if broken.isdisjoint(parts):
            yield from rule(config)


def _regions(config: Config) -> Iterator[Finding]:
    if not config.regions:
        yield Finding(("regions",), "at least one region")
    for name, region in config.regions.items():
        if not _REGION_NAME.fullmatch(name):
            yield Finding(("regions", name), "a name of at most 32 lower-case letters, digits and hyphens")
        for index, other in enumerate(region.nearest):
            place: KeyPath = ("regions", name, "nearest", index)
            if other == name or other in region.nearest[:index]:
                yield Finding(place, "every other region, each once", repr(other))
            elif other not in config.regions:
                yield _no_region(place, other, config)


def _listeners(config: Config) -> Iterator[Finding]:
    if not config.listeners:
        yield Finding(("listeners",), "at least one listener")
    for index, listener in enumerate(config.listeners):
        if listener.region not in config.regions:
            yield _no_region(("listeners", index, "region"), listener.region, config)
        if listener.sftp and listener.protocol != "https":
            yield Finding(("listeners", index, "sftp"), "no such key but with `protocol: https`")


def _ftps(config: Config) -> Iterator[Finding]:
    ports = config.ftps.passive_ports
    for index, listener in enumerate(config.listeners):
        if listener.protocol != "ftps" and (listener.tls != "explicit" or listener.passive_address is not None):
            key = "passive_address" if listener.tls == "explicit" else "tls"
            yield Finding(("listeners", index, key), "no such key but with `protocol: ftps`")
        elif listener.passive_address is not None and not _is_ipv4(listener.passive_address):
            expected = "an IPv4 address such as 192.0.2.1: PASV has no room for anything else"
            yield Finding(("listeners", index, "passive_address"), expected, repr(listener.passive_address))
        if ports is not None and ports[0] <= listener.port <= ports[1]:
            yield Finding(("listeners", index, "port"), "a port outside ftps.passive_ports", str(listener.port))
    banner = config.ftps.banner
    if banner is not None and not banner.isprintable():
        yield Finding(("ftps", "banner"), "one line that can be printed")


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _ports(config: Config) -> Iterator[Finding]:
    taken: list[tuple[str, int, str]] = []
    if config.operations.enabled:
        taken.append((config.operations.address, config.operations.port, "operations"))
    for index, listener in enumerate(config.listeners):
        for address, port, owner in taken:
            if port == listener.port != 0 and _same_address(address, listener.address):
                yield Finding(("listeners", index, "port"), f"a port of its own; {owner} has this one", str(port))
        taken.append((listener.address, listener.port, f"listeners[{index}]"))


def _same_address(one: str, other: str) -> bool:
    return one == other or one in _WILDCARDS or other in _WILDCARDS


def _residency(config: Config) -> Iterator[Finding]:
    if config.residency.home not in config.regions:
        yield _no_region(("residency", "home"), config.residency.home, config)
    if config.catalog.region not in config.regions:
        yield _no_region(("catalog", "region"), config.catalog.region, config)
    yield from _placement(config, config.residency, ("residency",))
    for index, rule in enumerate(config.residency.rules):
        path: KeyPath = ("residency", "rules", index)
        yield from (_timed(rule, path) if rule.match.hours else ())
        yield from _placement(config, rule, path)
        if rule.home is not None and rule.home not in config.regions:
            yield _no_region((*path, "home"), rule.home, config)
        if _takes_all(rule) and index + 1 < len(config.residency.rules):
            yield Finding((*path, "match"), "something that it does not match: the rules below it are never reached")
        yield from _reached(config.residency.rules[:index], rule, path)
    if config.residency.otherwise == "refuse" and all(rule.match.hours for rule in config.residency.rules):
        expected = "a rule that places cases: without one every case is refused (residency.otherwise)"
        yield Finding(("residency", "rules"), expected, "none")


def _timed(rule: RuleConfig, path: KeyPath) -> Iterator[Finding]:
    """No clock may decide where files lie: a clock that is wrong would move them."""
    hours = rule.match.hours
    for key, value in (("home", rule.home), ("copies", rule.copies), ("on_demand", rule.on_demand)):
        if value:
            expected = "no such key in a rule with match.hours, which says who reads and not where files lie"
            yield Finding((*path, key), expected)
    if rule.priority is not None:
        yield Finding((*path, "priority"), "no such key in a rule with match.hours")
    if rule.readers is None:
        yield Finding((*path, "readers"), "the regions from which may be read at these hours", "nothing")
    if hours is not None and hours.start == hours.end:
        yield Finding((*path, "match", "hours", "end"), "another time than start; a whole day is 00:00 to 24:00")
    if hours is not None and not hours.days:
        yield Finding((*path, "match", "hours", "days"), "at least one day")


def _reached(above: tuple[RuleConfig, ...], rule: RuleConfig, path: KeyPath) -> Iterator[Finding]:
    """A rule below one that takes all of its cases is never used; somebody believes that it is."""
    for index, other in enumerate(above):
        covered = all(_covers(one, two) for one, two in zip(_patterns(other), _patterns(rule), strict=True))
        if covered and not _takes_all(other) and other.match.hours in {None, rule.match.hours}:
            expected = f"cases that residency.rules[{index}] does not match already: this rule is never reached"
            yield Finding((*path, "match"), expected)
            return


def _takes_all(rule: RuleConfig) -> bool:
    return rule.match.hours is None and all(word is None or word == "*" for word in _patterns(rule))


def _patterns(rule: RuleConfig) -> tuple[str | None, ...]:
    return rule.match.customer, rule.match.case, rule.match.kind, rule.match.classification


def _covers(wide: str | None, narrow: str | None) -> bool:
    """Say whether whatever *narrow* matches is matched by *wide* too; no where that cannot be seen from the two."""
    if wide is None or wide == narrow:
        return True
    if narrow is None:
        return False  # also "*": it does not match a case without that field
    if not _GLOB.search(narrow):
        return fnmatch.fnmatchcase(narrow, wide)
    begin = wide.removesuffix("*")
    return wide.endswith("*") and not _GLOB.search(begin) and narrow.startswith(begin)


def _placement(config: Config, place: ResidencyConfig | RuleConfig, path: KeyPath) -> Iterator[Finding]:
    for key in ("copies", "on_demand", "readers", "metadata_regions"):
        for index, region in enumerate(getattr(place, key) or ()):
            if region not in config.regions:
                yield _no_region((*path, key, index), region, config)
    for index, region in enumerate(place.copies):
        if region == place.home or region in place.copies[:index]:
            yield Finding((*path, "copies", index), "regions other than the home region, each once", repr(region))
    for index, region in enumerate(place.on_demand):
        if region == place.home or region in (*place.copies, *place.on_demand[:index]):
            expected = "regions other than home and copies, each once"
            yield Finding((*path, "on_demand", index), expected, repr(region))
    if place.readers == ():
        yield Finding((*path, "readers"), "at least one region: with none nobody could read or write", "none")
    hours = place.match.hours if isinstance(place, RuleConfig) else None
    if hours is None:
        yield from _metadata(config, place, path)


def _metadata(config: Config, place: ResidencyConfig | RuleConfig, path: KeyPath) -> Iterator[Finding]:
    """A rule says where names and titles may lie; the catalog, which holds them, must be there."""
    home = place.home or config.residency.home
    allowed = place.metadata_regions if place.metadata_regions is not None else (home,)
    if config.catalog.region not in allowed:
        yield Finding(
            (*path, "metadata_regions"),
            f"to hold {config.catalog.region!r}, where the catalog lies (catalog.region) with all names and titles; "
            "else these cases need an installation of their own",
            ", ".join(allowed) or "no region",
        )


def _no_region(path: KeyPath, name: str, config: Config) -> Finding:
    return Finding(path, f"a region of this file ({', '.join(config.regions) or 'there is none'})", repr(name))


def _directories(config: Config) -> Iterator[Finding]:
    """No directory of a region may be, hold, or lie in another: what lies where must be plain."""
    taken: list[tuple[str, Path]] = []
    for name, region in config.regions.items():
        store = [("store.path", region.store.path)] if region.store.bucket is None else []
        for key, path in (("landing", region.landing), *store):
            real = Path(os.path.realpath(path))
            for owner, other in taken:
                if real == other or real in other.parents or other in real.parents:
                    yield Finding(
                        ("regions", name, *key.split(".")), f"a directory apart from {owner}", repr(str(path))
                    )
            taken.append((f"regions.{name}.{key}", real))
    rings: dict[str, str] = {}
    for name, region in config.regions.items():
        ring = os.path.realpath(region.keyring.path)
        if ring in rings:
            place = ("regions", name, "keyring", "path")
            yield Finding(
                place, f"a file of its own; regions.{rings[ring]} has this one", repr(str(region.keyring.path))
            )
        rings[ring] = name


def _stores(config: Config) -> Iterator[Finding]:
    """No two regions may share a bucket, but below prefixes of which neither holds the other."""
    taken: list[tuple[str, tuple[str, str, str]]] = []
    for name, region in config.regions.items():
        faults = list(store_faults(region.store))
        for key, expected, found in faults:
            yield Finding(("regions", name, "store", *key), expected, found)
        if faults or region.store.bucket is None:
            continue
        place = region.store.place
        for owner, other in taken:
            mine, theirs = f"{place[2]}/".lstrip("/"), f"{other[2]}/".lstrip("/")
            if place[:2] == other[:2] and (mine.startswith(theirs) or theirs.startswith(mine)):
                expected = f"a bucket, or a prefix in it, apart from regions.{owner}.store"
                yield Finding(("regions", name, "store", region.store.kind), expected, "/".join(place[1:]))
        taken.append((name, place))


def _passphrases(config: Config) -> Iterator[Finding]:
    for name, region in config.regions.items():
        ways = {
            "passphrase_file": region.keyring.passphrase_file is not None,
            "passphrase": region.keyring.passphrase is not None,
            "prompt": region.keyring.prompt,
        }
        given = [way for way, is_given in ways.items() if is_given]
        place: KeyPath = ("regions", name, "keyring")
        if region.keys.type != "keyring":
            if given:
                yield Finding(place, f"nothing that opens it: regions.{name}.keys.type is {region.keys.type}", given[0])
        elif len(given) != 1:
            found = "neither" if not given else "both" if len(given) == 2 else "all"
            yield Finding(place, "exactly one of passphrase_file, passphrase and prompt", found)


def _providers(config: Config) -> Iterator[Finding]:
    for name, region in config.regions.items():
        yield from _provider(("regions", name, "keys"), region.keys)
    names: set[str] = set()
    for index, each in enumerate(config.customer_keys):
        place: KeyPath = ("customer_keys", index)
        yield from _provider((*place, "provider"), each.provider)
        if not _REGION_NAME.fullmatch(each.name) or each.name in names:
            expected = "a name of its own, of at most 32 lower-case letters, digits and hyphens"
            yield Finding((*place, "name"), expected, repr(each.name))
        names.add(each.name)
        for at, region_name in enumerate(each.regions):
            if region_name not in config.regions:
                yield _no_region((*place, "regions", at), region_name, config)


def _provider(place: KeyPath, keys: KeysConfig | ProviderConfig) -> Iterator[Finding]:
    """Exactly the part that the type names, and that one whole."""
    wanted = keys.type.replace("-", "_")
    for part in ("pkcs11", "aws_kms", "vault"):
        given = getattr(keys, part) is not None
        if given and part != wanted:
            yield Finding((*place, part), f"nothing: the type is {keys.type}", "a map")
        elif not given and part == wanted:
            yield Finding((*place, part), f"what the type {keys.type} needs", "nothing")
    if keys.pkcs11 is not None and (keys.pkcs11.pin is None) == (keys.pkcs11.pin_file is None):
        found = "neither" if keys.pkcs11.pin is None else "both"
        yield Finding((*place, "pkcs11"), "exactly one of pin_file and pin", found)
    if keys.vault is not None:
        yield from _vault((*place, "vault"), keys.vault)


def _vault(place: KeyPath, vault: VaultConfig) -> Iterator[Finding]:
    if not _is_plain_url(vault.url):
        yield Finding((*place, "url"), "http:// or https:// with a host and without a login, a query or a fragment")
    if (vault.role_id is None) != (vault.secret_id_file is None):
        yield Finding(place, "role_id and secret_id_file together, or neither")
    elif (vault.role_id is None) == (vault.token_file is None):
        found = "neither" if vault.role_id is None else "both"
        yield Finding(place, "exactly one of token_file and role_id", found)
    for key in ("mount", "approle"):
        if not re.fullmatch(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*", getattr(vault, key), re.ASCII):
            yield Finding((*place, key), "a path of letters, digits, dots, hyphens and slashes")


def _lookup(config: Config) -> Iterator[Finding]:
    lookup = config.lookup
    if lookup.type == "static":
        if lookup.table is None:
            yield Finding(("lookup", "table"), "a path or a map (lookup.type is static)", "nothing")
    elif lookup.type != "registry":
        yield from _lookup_over_http(lookup)


def _lookup_over_http(lookup: LookupConfig) -> Iterator[Finding]:
    if lookup.client_key is not None and lookup.client_certificate is None:
        yield Finding(("lookup", "client_certificate"), "the certificate that lookup.client_key belongs to", "nothing")
    needs_secret = lookup.type == "http" or lookup.auth.type not in {None, "none"} or lookup.preset is not None
    if lookup.secret is not None and lookup.secret_file is not None:
        yield Finding(("lookup", "secret_file"), "exactly one of secret_file and secret", "both")
    elif needs_secret and lookup.auth.type != "none" and lookup.secret is None and lookup.secret_file is None:
        yield Finding(("lookup", "secret_file"), "exactly one of secret_file and secret", "neither")
    if not _is_plain_url(lookup.url):
        yield Finding(("lookup", "url"), "http:// or https:// with a host and without a login, a query or a fragment")


def _is_plain_url(url: str | None) -> bool:
    try:
        parts = urlsplit(url or "")
        port_is_number = parts.port is None or parts.port > 0
    except ValueError:
        return False
    plain = parts.username is None and not parts.query and not parts.fragment
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and plain and port_is_number


def _external(config: Config) -> Iterator[Finding]:
    for index, each in enumerate(config.scrub.external):
        place: KeyPath = ("scrub", "external", index)
        if each.region not in config.regions:
            yield _no_region((*place, "region"), each.region, config)
        if each.name in {other.name for other in config.scrub.external[:index]}:
            yield Finding((*place, "name"), "a name of its own", repr(each.name))
        if each.kind == "command":
            if not each.command or not Path(each.command[0]).is_absolute():
                yield Finding((*place, "command"), "the full path of a program, and its arguments")
        elif each.address is None or not _is_scanner_address(each.address, socket=each.kind == "clamd"):
            also = ", or the full path of its socket" if each.kind == "clamd" else ""
            yield Finding((*place, "address"), f"host and port, such as 127.0.0.1:1344{also}", repr(each.address))


def _is_scanner_address(text: str, *, socket: bool) -> bool:
    host, mark, port = text.rpartition(":")
    return (socket and text.startswith("/")) or (bool(mark and host) and port.isdecimal() and 0 < int(port) < 65536)


def _terms(config: Config) -> Iterator[Finding]:
    """Own words must be readable now: a scrubber without them would let through what it is told to replace."""
    from scrubber.errors import TermsError  # noqa: PLC0415 - only where a file is named
    from scrubber.terms import parse_terms  # noqa: PLC0415

    places: list[tuple[KeyPath, Path | None]] = [(("scrub", "terms"), config.scrub.terms)]
    places += [(("scrub", "rules", index, "terms"), rule.terms) for index, rule in enumerate(config.scrub.rules)]
    for place, path in places:
        if path is None:
            continue
        try:
            parse_terms(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            yield Finding(place, "a file of terms that can be read", f"{str(path)!r}: {why}")
        except TermsError as error:
            yield Finding(place, "a file of terms", f"{str(path)!r}: {error}")


def _revocation(config: Config) -> Iterator[Finding]:
    bound = config.revocation.bound
    ttl, stale = config.lookup.ttl, config.lookup.stale_if_error
    if ttl > bound:
        yield Finding(("lookup", "ttl"), f"at most revocation.bound, {bound:g} s", f"{ttl:g} s")
    elif ttl + stale > bound:
        expected = f"with lookup.ttl ({ttl:g} s) at most revocation.bound, {bound:g} s"
        yield Finding(("lookup", "stale_if_error"), expected, f"{stale:g} s")
    if config.revocation.poll > bound:
        yield Finding(("revocation", "poll"), f"at most revocation.bound, {bound:g} s", f"{config.revocation.poll:g} s")


def _layout(config: Config) -> Iterator[Finding]:
    seen: set[str] = set()
    sound = True
    for key in ("upload", "download", "meta"):
        name: str = getattr(config.layout, key)
        folded = unicodedata.normalize("NFC", name).casefold()
        printable = name.isprintable() and not set(name) & {"/", "\\"}
        if name in {".", ".."} or name != name.strip() or not printable or len(name.encode()) > 255:
            sound = False
            yield Finding(("layout", key), "the name of one directory", repr(name))
        if folded in seen:
            sound = False
            yield Finding(("layout", key), "a name that differs from the other two", repr(name))
        seen.add(folded)
    for path, expected, found in layout_faults(config.layout) if sound else ():
        yield Finding(("layout", *path), expected, found)


def _deposit(config: Config) -> Iterator[Finding]:
    for index, form in enumerate(config.deposit.case_numbers):
        try:
            parse_grammar(**asdict(form))
        except ValueError as error:
            expected = "a regular expression of a case number, such as [A-Z]+-[0-9]+"
            yield Finding(("deposit", "case_numbers", index, "pattern"), expected, str(error))
    if not config.deposit.separators.isprintable() or "/" in config.deposit.separators:
        yield Finding(("deposit", "separators"), "characters that a name may hold, such as '_-. '")
    folders = [("deposit", "drop_folders", index) for index, _ in enumerate(config.deposit.drop_folders)]
    for path, folder in zip(folders, config.deposit.drop_folders, strict=True):
        if not all(_is_plain_folder(name) for name in folder.split("/")):
            expected = "names of directories, as in upload/issue, none of which could be a case's number"
            yield Finding(path, expected, repr(folder))
    if not _is_plain_folder(config.unfiled.folder):
        expected = "the name of one directory that could not be a case's number"
        yield Finding(("unfiled", "folder"), expected, repr(config.unfiled.folder))


def _is_plain_folder(name: str) -> bool:
    return bool(name) and safe_title(name) == name and parsed_number(name.split(" ", 1)[0]) is None


def _quotas(config: Config) -> Iterator[Finding]:
    """All cases of a customer share one quota: a rule that looks at more cannot say it."""
    for index, rule in enumerate(config.quotas.rules):
        if rule.match.case is None and rule.match.kind is None and rule.match.classification is None:
            continue
        for key in ("customer_bytes", "customer_files"):
            if getattr(rule, key) is not None:
                expected = "no such key in a rule that matches by more than the customer: its cases share one quota"
                yield Finding(("quotas", "rules", index, key), expected)


def _certificate(config: Config) -> Iterator[Finding]:
    if (config.https.certificate is None) != (config.https.key is None):
        missing = "key" if config.https.key is None else "certificate"
        yield Finding(("https", missing), "https.certificate and https.key together, or neither")


def _retries(config: Config) -> Iterator[Finding]:
    if config.replication.retry_max < config.replication.retry_first:
        yield Finding(("replication", "retry_max"), "at least replication.retry_first")


def _links(config: Config) -> Iterator[Finding]:
    seen: set[tuple[str, str]] = set()
    for index, link in enumerate(config.replication.links):
        path: KeyPath = ("replication", "links", index)
        for key, region in (("source", link.source), ("target", link.target)):
            if region not in config.regions:
                yield _no_region((*path, key), region, config)
        if link.source == link.target or (link.source, link.target) in seen:
            yield Finding((*path, "target"), "another region than the source, each pair once", repr(link.target))
        seen.add((link.source, link.target))


def _webhooks(config: Config) -> Iterator[Finding]:
    incoming, outgoing = config.webhooks.incoming, config.webhooks.outgoing
    if len(incoming.secret_files) > MOST_SECRETS:
        yield Finding(("webhooks", "incoming", "secret_files"), f"at most {MOST_SECRETS} files")
    here: KeyPath = ("webhooks", "outgoing")
    for index, text in enumerate(outgoing.allow_networks):
        try:
            ipaddress.ip_network(text)
        except ValueError:
            yield Finding((*here, "allow_networks", index), "a network such as 10.1.0.0/16 or fd00::/8", repr(text))
    if outgoing.retry_max < outgoing.retry_first:
        yield Finding((*here, "retry_max"), "at least webhooks.outgoing.retry_first")
    names: set[str] = set()
    for index, endpoint in enumerate(outgoing.endpoints):
        path = (*here, "endpoints", index)
        if not _REGION_NAME.fullmatch(endpoint.name) or endpoint.name in names:
            expected = "a name of its own, of at most 32 lower-case letters, digits and hyphens"
            yield Finding((*path, "name"), expected, repr(endpoint.name))
        names.add(endpoint.name)
        yield from _endpoint(path, endpoint, plain=bool(outgoing.allow_networks))


def _endpoint(path: KeyPath, endpoint: EndpointConfig, *, plain: bool) -> Iterator[Finding]:
    if not is_endpoint_url(endpoint.url, plain=plain):
        expected = "https:// with a host, without a login or a fragment (http:// only with allow_networks)"
        yield Finding((*path, "url"), expected)
    if not 1 <= len(endpoint.secret_files) <= MOST_SECRETS:
        yield Finding((*path, "secret_files"), f"1 to {MOST_SECRETS} files", str(len(endpoint.secret_files)))
    for place, pattern in enumerate(endpoint.events):
        if not event_types(pattern):
            expected = f"a type of event or a pattern of some: {', '.join(EVENT_TYPES)}"
            yield Finding((*path, "events", place), expected, repr(pattern))
    if not endpoint.events:
        yield Finding((*path, "events"), "at least one type of event, or a pattern of some")


_CHECKS: tuple[tuple[tuple[str, ...], Callable[[Config], Iterator[Finding]]], ...] = (
    (("regions",), _regions),
    (("listeners", "regions", "residency"), _listeners),
    (("listeners", "operations"), _ports),
    (("listeners", "ftps"), _ftps),
    (("residency", "regions", "catalog"), _residency),
    (("regions", "data"), _directories),
    (("regions",), _stores),
    ((), _passphrases),
    (("regions", "customer_keys"), _providers),
    (("lookup",), _lookup),
    (("lookup", "revocation"), _revocation),
    (("layout",), _layout),
    (("scrub",), _terms),
    (("scrub", "regions"), _external),
    (("deposit", "unfiled"), _deposit),
    (("https",), _certificate),
    (("replication",), _retries),
    (("quotas",), _quotas),
    (("replication", "regions"), _links),
    (("webhooks",), _webhooks),
)
