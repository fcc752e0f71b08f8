"""The configuration: what is read, what is refused, and how it is said."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import pickle
import typing
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mft.config import (
    Config,
    ConfigError,
    FreeSpace,
    SecretFileError,
    load_config,
    load_lookup_secret,
    load_lookup_table,
    load_passphrase,
    parse_config,
)
from mft.config.document import parse_document
from mft.config.units import parse_duration, parse_free_space, parse_size

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
SMALL = {
    "listeners": [{"protocol": "sftp", "port": 2222}, {"protocol": "https", "port": 8443}],
    "regions": {"eu": {"keyring": {"passphrase": "correct horse"}}},
    "lookup": {"table": {"customers": []}},
}


def write(directory, text):
    path = directory / "mft.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def changed(**parts):
    """Return the small configuration with some of its top keys replaced."""
    return {**copy.deepcopy(SMALL), **parts}


def when(customer):
    """Return a rule of residency for the customers of a pattern."""
    return {"match": {"customer": customer}, "home": "eu"}


def timed(*, start="22:00", end="06:00", zone="Europe/Berlin", days=None, readers=("eu",), **more):
    """Return a rule of residency with hours."""
    hours = {"start": start, "end": end, "zone": zone, **({} if days is None else {"days": days})}
    return {
        "match": {"customer": "a", "hours": hours},
        **({} if readers is None else {"readers": list(readers)}),
        **more,
    }


def two_regions(**eu):
    return {"eu": {"keyring": {"passphrase": "a"}, **eu}, "us": {"keyring": {"passphrase": "b"}}}


def faults(data, environment=None, base=Path("/base")):
    with pytest.raises(ConfigError) as caught:
        parse_config(data, base=base, environment=environment or {})
    return {fault.path: fault for fault in caught.value.faults}


class TestExample:
    def test_example_is_a_valid_configuration(self):
        """The example loads without an environment."""
        assert load_config(EXAMPLE, {}).residency.home == "eu"

    def test_example_holds_every_field_of_the_model(self):
        """No key is missing from the example."""
        text = EXAMPLE.read_text(encoding="utf-8")
        data = parse_document(text, "example").data
        missing = [path for path in keys_of(Config, data) if f"# {path.rpartition('.')[2]}:" not in text]
        assert missing == []

    def test_example_gives_the_defaults_where_it_says_so(self):
        """Parts that the example writes out in full are equal to a default configuration's."""
        example, plain = load_config(EXAMPLE, {}), Config()
        parts = (
            "operations",
            "revocation",
            "layout",
            "landing",
            "limits",
            "auth",
            "scrub",
            "replication",
            "https",
            "log",
            "audit",
        )
        assert {part: getattr(example, part) for part in parts} == {part: getattr(plain, part) for part in parts}
        assert dataclasses.replace(example.sftp, host_keys=plain.sftp.host_keys) == plain.sftp


def keys_of(kind, data, path=""):
    """Yield the paths of the model's fields that *data* never gives, walking lists and maps of parts as one."""
    for field in dataclasses.fields(kind):
        here = f"{path}.{field.name}" if path else field.name
        given = (
            [item[field.name] for item in data if field.name in item]
            if isinstance(data, list)
            else ([data[field.name]] if field.name in data else [])
        )
        if not given:
            yield here
            continue
        inner = typing.get_type_hints(kind)[field.name]
        parts = [item for value in given for item in spread(value, inner)]
        for part in part_types(inner):
            yield from keys_of(part, [item for item in parts if isinstance(item, Mapping)], here)


def spread(value, inner):
    if isinstance(value, list):
        return value
    return list(value.values()) if typing.get_origin(inner) is Mapping else [value]


def part_types(kind):
    if dataclasses.is_dataclass(kind):
        return [] if kind is FreeSpace else [kind]
    return [part for argument in typing.get_args(kind) for part in part_types(argument)]


class TestLoading:
    def test_small_configuration_has_defaults(self):
        """A configuration of a few lines is whole."""
        config = parse_config(SMALL, base=Path("/base"))
        assert config.data == Path("/base/data")
        assert config.catalog.path == Path("/base/data/catalog.db")
        assert config.regions["eu"].store.path == Path("/base/data/regions/eu/store")
        assert config.regions["eu"].landing == Path("/base/data/regions/eu/landing")
        assert config.sftp.host_keys == config.credentials == Path("/base/data/credentials")
        assert config.residency.home == config.catalog.region == config.listeners[0].region == "eu"

    def test_paths_are_relative_to_the_file_when_given_and_to_data_when_not(self, tmp_path):
        """A given path begins at the file's directory, a default one at `data`."""
        text = yaml.safe_dump(changed(data="/srv/mft", catalog={"path": "here.db"}, audit={"export_head": "heads"}))
        config = load_config(write(tmp_path, text), {})
        assert config.catalog.path == tmp_path / "here.db"
        assert config.audit.export_head == tmp_path / "heads"
        assert config.regions["eu"].keyring.path == Path("/srv/mft/regions/eu/keyring")

    def test_environment_is_put_into_texts_and_numbers(self):
        """`${NAME}` is resolved, and `$${` stands for itself."""
        data = changed(installation="a ${NAME} b $${NAME}", operations={"port": "${PORT}", "enabled": "${ON}"})
        config = parse_config(data, base=Path("/b"), environment={"NAME": "x", "PORT": "9000", "ON": "false"})
        assert (config.installation, config.operations.port, config.operations.enabled) == (
            "a x b ${NAME}",
            9000,
            False,
        )

    def test_missing_variable_is_named(self):
        """A variable that is not set is a fault that names it and its key."""
        fault = faults(changed(installation="${NOT_THERE}"))["installation"]
        assert "NOT_THERE" in fault.expected

    def test_nearest_is_completed_in_the_order_of_the_file(self):
        """Regions that `nearest` leaves out follow."""
        regions = {name: {"keyring": {"passphrase": name}} for name in ("a", "b", "c", "d")}
        regions["a"]["nearest"] = ["d"]
        config = parse_config(changed(regions=regions, residency={"home": "a"}), base=Path("/b"))
        assert config.regions["a"].nearest == ("d", "b", "c")

    def test_words_that_yaml_1_1_takes_for_something_else_stay_words(self, tmp_path):
        """`on` is a key, `no` a region, `0123` a customer and 12:30 no number."""
        text = """
listeners: [{protocol: sftp, port: 1}]
regions: {no: {keyring: {passphrase: 12:30}}}
lookup: {table: {}}
residency: {rules: [{match: {customer: 0123}}]}
scrub: {on: {secret: reject}}
"""
        config = load_config(write(tmp_path, text), {})
        assert config.regions["no"].keyring.passphrase == "12:30"
        assert config.residency.rules[0].match.customer == "0123"
        assert config.scrub.on.secret == "reject"

    def test_number_is_a_name_where_a_text_is_wanted(self):
        """A case number that looks like a number is a text."""
        rule = {"match": {"case": 1001}}
        config = parse_config(changed(residency={"rules": [rule]}), base=Path("/b"))
        assert config.residency.rules[0].match.case == "1001"

    def test_configuration_can_be_handed_to_another_process(self):
        """It survives pickling unchanged."""
        config = load_config(EXAMPLE, {})
        assert pickle.loads(pickle.dumps(config)) == config

    def test_secret_is_in_no_repr(self):
        """Printing a configuration does not print its secrets."""
        data = changed(lookup={"type": "http", "url": "http://h", "secret": "hush-hush"})
        assert "hush-hush" not in repr(parse_config(data, base=Path("/b")))
        assert "correct horse" not in repr(parse_config(data, base=Path("/b")))


class TestFaults:
    def test_every_fault_is_listed_with_its_line(self, tmp_path):
        """One round shows all of them, in the order of the file."""
        text = """
regions:
  eu: {stor: {}, keyring: {passphrase: a}}
listeners:
  - {protocol: ftp, port: 21}
  - {protocol: sftp, port: 70000}
limits: {threads: many}
revocation: {bound: 1s}
"""
        with pytest.raises(ConfigError) as caught:
            load_config(write(tmp_path, text), {})
        found = [(fault.line, fault.path) for fault in caught.value.faults]
        assert found == [
            (None, "lookup.table"),
            (None, "lookup.ttl"),
            (3, "regions.eu.stor"),
            (5, "listeners[0].protocol"),
            (6, "listeners[1].port"),
            (7, "limits.threads"),
        ]
        assert str(tmp_path / "mft.yaml") + ":3: regions.eu.stor: " in str(caught.value)

    @pytest.mark.parametrize(
        ("data", "path", "nearest"),
        [
            (changed(regoins={}), "regoins", "regions"),
            (changed(limits={"thread": 4}), "limits.thread", "limits.threads"),
            (changed(listeners=[{"protocol": "sftp", "prot": 2}]), "listeners[0].prot", "listeners[0].port"),
            (changed(zzz=1), "zzz", ""),
        ],
    )
    def test_unknown_key_names_the_nearest(self, data, path, nearest):
        """A typo is answered with the key that was probably meant."""
        assert faults(data)[path].nearest == nearest

    def test_missing_key_says_what_is_expected(self):
        """A key without a default that is not there is named."""
        fault = faults(changed(listeners=[{"protocol": "sftp"}]))["listeners[0].port"]
        assert str(fault) == "configuration: listeners[0].port: is missing; expected a port from 0 to 65535"

    @pytest.mark.parametrize(
        ("data", "path"),
        [
            (changed(limits={"threads": True}), "limits.threads"),
            (changed(limits={"threads": 0}), "limits.threads"),
            (changed(limits={"upload_size": "1 gig"}), "limits.upload_size"),
            (changed(landing={"free_space": "101%"}), "landing.free_space"),
            (changed(lookup={"table": {}, "timeout": 0}), "lookup.timeout"),
            (changed(lookup={"table": {}, "ttl": "-1s"}), "lookup.ttl"),
            (changed(lookup={"table": {}, "ttl": float("nan")}), "lookup.ttl"),
            (changed(log={"level": "LOUD"}), "log.level"),
            (changed(installation=""), "installation"),
            (changed(installation=["a"]), "installation"),
            (changed(listeners={"a": 1}), "listeners"),
            (changed(listeners=["sftp"]), "listeners[0]"),
            (changed(regions=["eu"]), "regions"),
            (changed(scrub=3), "scrub"),
            (changed(auth={"throttle": {"ipv4_prefix": 33}}), "auth.throttle.ipv4_prefix"),
        ],
    )
    def test_wrong_value_is_refused_at_its_path(self, data, path):
        """Each wrong value is a fault at its own key and the only one."""
        assert list(faults(data)) == [path]

    def test_secret_value_is_never_shown(self):
        """A message about a wrong secret does not hold it, nor one about a variable what it stands for."""
        found = faults(
            changed(
                regions={"eu": {"keyring": {"passphrase": ["hunter2"]}}},
                limits={"threads": "${LEAK}"},
            ),
            {"LEAK": "hunter3"},
        )
        text = "\n".join(str(fault) for fault in found.values())
        assert "limits.threads" in text
        assert "hunter" not in text

    def test_url_with_a_login_is_refused_without_showing_it(self):
        """Credentials in the lookup's address are a fault that does not repeat them."""
        found = faults(changed(lookup={"type": "http", "url": "https://me:hunter2@h/", "secret": "x"}))
        assert "hunter2" not in str(found["lookup.url"])

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("a: 1\na: 2\n", "each key once; it is already in line 1"),
            ("a: [1\n", "valid YAML"),
            ("a: !!python/object:os.system x\n", "a value without a tag of its own"),
            ("- 1\n", "a map of keys and values"),
            ("? [a]\n: 1\n", "keys that are words"),
            ("\tx", "valid YAML"),
        ],
    )
    def test_file_that_is_no_configuration_is_refused(self, tmp_path, text, expected):
        """What is not a plain YAML map says so."""
        with pytest.raises(ConfigError) as caught:
            load_config(write(tmp_path, text), {})
        assert caught.value.faults[0].expected.startswith(expected) or expected in str(caught.value)

    def test_aliases_that_multiply_are_refused(self, tmp_path):
        """A few lines cannot stand for millions of values."""
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
        with pytest.raises(ConfigError, match="at most"):
            load_config(write(tmp_path, "\n".join(lines)), {})

    def test_recursive_alias_is_refused(self, tmp_path):
        """A value that holds itself is refused."""
        with pytest.raises(ConfigError):
            load_config(write(tmp_path, "a: &a [*a]\n"), {})

    def test_missing_file_and_other_bytes_are_refused(self, tmp_path):
        """A file that is not there, and one that is not UTF-8."""
        with pytest.raises(ConfigError, match="can be read"):
            load_config(tmp_path / "none.yaml", {})
        (tmp_path / "latin.yaml").write_bytes(b"installation: caf\xe9\n")
        with pytest.raises(ConfigError, match="UTF-8"):
            load_config(tmp_path / "latin.yaml", {})

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "regions",
                            "eu",
                            "keyring",
                            "store",
                            "path",
                            "listeners",
                            "port",
                            "lookup",
                            "table",
                            "residency",
                            "rules",
                            "match",
                            "limits",
                        ]
                    )
                    | st.text(),
                    inner,
                )
            ),
        )
    )
    def test_any_data_is_a_configuration_or_a_config_error(self, data):
        """Nothing else ever comes out."""
        with contextlib.suppress(ConfigError):
            assert isinstance(parse_config(data, base=Path("/b")), Config)


class TestChecksBetweenKeys:
    @pytest.mark.parametrize(
        ("data", "path"),
        [
            ({k: v for k, v in SMALL.items() if k != "listeners"}, "listeners"),
            (changed(regions={}), "regions"),
            (changed(regions={"EU": SMALL["regions"]["eu"]}), "regions.EU"),
            (changed(regions=two_regions()), "residency.home"),
            (changed(residency={"home": "mars"}), "residency.home"),
            (changed(catalog={"region": "mars"}), "catalog.region"),
            (changed(residency={"copies": ["mars"]}), "residency.copies[0]"),
            (changed(residency={"copies": ["eu"]}), "residency.copies[0]"),
            (changed(residency={"readers": ["mars"]}), "residency.readers[0]"),
            (changed(residency={"rules": [{"match": {"case": "1"}, "home": "mars"}]}), "residency.rules[0].home"),
            (changed(residency={"rules": [{}, {"match": {"case": "1"}}]}), "residency.rules[0].match"),
            (changed(residency={"rules": [timed(home="eu")]}), "residency.rules[0].home"),
            (changed(residency={"rules": [timed(readers=None)]}), "residency.rules[0].readers"),
            (changed(residency={"rules": [timed(end="22:00")]}), "residency.rules[0].match.hours.end"),
            (changed(residency={"rules": [timed(days=[])]}), "residency.rules[0].match.hours.days"),
            (changed(residency={"rules": [timed(zone="Mars/Olympus")]}), "residency.rules[0].match.hours.zone"),
            (changed(residency={"rules": [timed(start="25:00")]}), "residency.rules[0].match.hours.start"),
            (changed(residency={"otherwise": "refuse", "rules": [timed()]}), "residency.rules"),
            (changed(residency={"on_demand": ["mars"]}), "residency.on_demand[0]"),
            (changed(residency={"on_demand": ["eu"]}), "residency.on_demand[0]"),
            (changed(residency={"readers": []}), "residency.readers"),
            (changed(residency={"rules": [{"match": {"case": "1"}, "priority": 6}]}), "residency.rules[0].priority"),
            (changed(residency={"rules": [when("a-*"), when("a-b*")]}), "residency.rules[1].match"),
            (changed(residency={"rules": [when("a-*"), when("b-*"), when("a-1")]}), "residency.rules[2].match"),
            (changed(regions=two_regions(nearest=["mars"]), residency={"home": "eu"}), "regions.eu.nearest[0]"),
            (changed(regions=two_regions(nearest=["eu"]), residency={"home": "eu"}), "regions.eu.nearest[0]"),
            (changed(listeners=[{"protocol": "sftp", "port": 1, "region": "mars"}]), "listeners[0].region"),
            (changed(listeners=[{"protocol": "sftp", "port": 9464}]), "listeners[0].port"),
            (
                changed(listeners=[{"protocol": "sftp", "port": 1}, {"protocol": "https", "port": 1, "address": "::"}]),
                "listeners[1].port",
            ),
            (changed(regions={"eu": {"keyring": {}}}), "regions.eu.keyring"),
            (changed(regions={"eu": {"keyring": {"passphrase": "a", "passphrase_file": "b"}}}), "regions.eu.keyring"),
            (
                changed(regions=two_regions(landing="data/regions/us/landing"), residency={"home": "eu"}),
                "regions.us.landing",
            ),
            (changed(regions=two_regions(landing="data/regions/us"), residency={"home": "eu"}), "regions.us.landing"),
            (
                changed(regions=two_regions(store={"path": "/b/s"}, landing="/b/s/l"), residency={"home": "eu"}),
                "regions.eu.store.path",
            ),
            (changed(lookup={}), "lookup.table"),
            (changed(lookup={"type": "http", "url": "http://h"}), "lookup.secret_file"),
            (changed(lookup={"type": "http", "url": "ftp://h", "secret": "a"}), "lookup.url"),
            (changed(lookup={"type": "http", "secret": "a"}), "lookup.url"),
            (changed(lookup={"table": {}, "ttl": "2m"}), "lookup.ttl"),
            (changed(lookup={"table": {}, "stale_if_error": "46s"}), "lookup.stale_if_error"),
            (changed(layout={"upload": "a/b"}), "layout.upload"),
            (changed(layout={"upload": ".."}), "layout.upload"),
            (changed(layout={"upload": "From-Support"}), "layout.download"),
            (changed(https={"certificate": "a.pem"}), "https.key"),
            (changed(replication={"retry_first": "2h"}), "replication.retry_max"),
        ],
    )
    def test_contradiction_is_refused_at_its_path(self, data, path):
        """Keys that do not go together are a fault at the key that should change."""
        assert path in faults(data)

    def test_rule_that_keeps_metadata_from_the_catalogs_region_is_refused(self):
        """A rule's names and titles may lie in its home region only, unless it says more."""
        rule = {"match": {"customer": "us-*"}, "home": "us"}
        data = changed(regions=two_regions(), residency={"home": "eu", "rules": [rule]})
        assert "catalog lies" in faults(data)["residency.rules[0].metadata_regions"].expected
        rule["metadata_regions"] = ["us", "eu"]
        assert parse_config(data, base=Path("/b")).residency.rules[0].home == "us"

    def test_listeners_may_share_port_nought_and_a_port_on_other_addresses(self):
        """Port 0 is never taken, and two addresses have two ports of one number."""
        listeners = [
            {"protocol": "sftp", "port": 0},
            {"protocol": "https", "port": 0},
            {"protocol": "sftp", "port": 22, "address": "10.0.0.1"},
            {"protocol": "sftp", "port": 22, "address": "10.0.0.2"},
        ]
        assert len(parse_config(changed(listeners=listeners), base=Path("/b")).listeners) == 4

    def test_part_with_a_fault_of_its_own_gives_no_faults_that_follow_from_it(self):
        """A region with a typo is not also called unknown wherever it is named."""
        data = changed(regions={"eu": {"keyrin": {}}}, residency={"home": "eu"})
        assert set(faults(data)) == {"regions.eu.keyrin", "regions.eu.keyring"}


class TestUnits:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("250ms", 0.25), ("30s", 30), ("15m", 900), ("1h", 3600), ("7d", 604800), ("1.5h", 5400), (90, 90), (0, 0)],
    )
    def test_duration(self, text, seconds):
        """Every unit of time is read."""
        assert parse_duration(text) == seconds

    @pytest.mark.parametrize("text", ["", "5", "1y", "h", "-1s", "1h30m", True, None, -1, float("inf"), "\u0661s"])
    def test_duration_refused(self, text):
        """What is no duration is refused, a bare number in quotes too."""
        with pytest.raises(ValueError):
            parse_duration(text)

    @pytest.mark.parametrize(
        ("text", "size"), [("64KiB", 65536), ("1GiB", 2**30), ("10MB", 10**7), ("1.5MiB", 1572864), (17, 17), ("0B", 0)]
    )
    def test_size(self, text, size):
        """Binary and decimal units of size are read."""
        assert parse_size(text) == size

    @pytest.mark.parametrize("text", ["", "5", "1gib", "0.3B", 1.5, True, [], "5%"])
    def test_size_refused(self, text):
        """What is no size is refused."""
        with pytest.raises(ValueError):
            parse_size(text)

    def test_free_space_is_a_size_or_a_share(self):
        """The watermark of a disk of 1000 bytes."""
        assert parse_free_space("5%").needed(1000) == 50
        assert parse_free_space("100B").needed(1000) == 100


class TestSecrets:
    def keyring(self, path):
        data = changed(regions={"eu": {"keyring": {"passphrase_file": str(path)}}})
        return parse_config(data, base=Path("/b")).regions["eu"].keyring

    def test_first_line_of_the_file_is_the_passphrase(self, tmp_path):
        """The line's end is not part of it."""
        path = tmp_path / "p"
        path.write_bytes("grüße aus\r\nanything".encode())
        path.chmod(0o600)
        assert load_passphrase(self.keyring(path), "eu") == "grüße aus"

    @pytest.mark.parametrize(
        ("content", "mode"), [(b"", 0o600), (b"x", 0o644), (b"\xff\n", 0o600), (b"a" * 5000, 0o600)]
    )
    def test_unusable_file_is_refused_without_showing_it(self, tmp_path, content, mode):
        """Empty, open to everyone, no text, or far too long."""
        path = tmp_path / "p"
        path.write_bytes(content)
        path.chmod(mode)
        with pytest.raises(SecretFileError, match=r"regions\.eu\.keyring\.passphrase_file"):
            load_passphrase(self.keyring(path), "eu")

    def test_missing_file_is_refused(self, tmp_path):
        """A file that is not there is named."""
        with pytest.raises(SecretFileError, match="none"):
            load_passphrase(self.keyring(tmp_path / "none"), "eu")

    def test_lookup_secret_and_table_come_from_either_place(self, tmp_path):
        """Inline and from a file."""
        path = tmp_path / "table.yaml"
        path.write_text("customers: [{id: 0123}]\n")
        inline = parse_config(SMALL, base=Path("/b"))
        from_file = parse_config(changed(lookup={"table": str(path)}), base=Path("/b"))
        assert load_lookup_table(inline.lookup) == {"customers": []}
        assert load_lookup_table(from_file.lookup) == {"customers": [{"id": "0123"}]}
        http = parse_config(changed(lookup={"type": "http", "url": "http://h", "secret": "s"}), base=Path("/b"))
        assert load_lookup_secret(http.lookup) == "s"
