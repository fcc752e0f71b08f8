"""Quotas of cases and customers: reserved at open, settled at close, exact whatever races or dies."""

from __future__ import annotations

import json
import threading

import pytest

from mft.config import ConfigError, parse_config
from mft.quotas import Quota, QuotaRule, QuotaRules
from mft.upload.room import FIRST_SLAB, used_by_case, used_by_customer
from protocols.errors import QuotaExceededError
from protocols.path import parse_path
from tests.core import running_core

IN = "/ACME-1/to-support"
RULES = QuotaRules(
    default=Quota(case_bytes=100, customer_files=7),
    rules=(
        QuotaRule(customer="acme", kind="outage", case_bytes=500),
        QuotaRule(customer="acme", case_files=3, customer_bytes=1000),
        QuotaRule(case="BIG-*", case_bytes=10_000),
    ),
)


@pytest.mark.parametrize(
    ("facts", "quota"),
    [
        (("acme", "A-1", "outage"), Quota(case_bytes=500, customer_bytes=1000, customer_files=7)),
        (("acme", "A-1", None), Quota(case_bytes=100, case_files=3, customer_bytes=1000, customer_files=7)),
        (("globex", "BIG-1", None), Quota(case_bytes=10_000, customer_files=7)),
        (("globex", "G-1", None), Quota(case_bytes=100, customer_files=7)),
    ],
)
def test_first_rule_that_fits_decides(facts, quota):
    """A customer's share comes from the first rule that looks at the customer alone, whatever decides on the case."""
    customer, case, kind = facts
    assert RULES.of(customer=customer, case=case, kind=kind, classification=None) == quota


def test_rule_that_looks_at_more_cannot_speak_of_the_customer(tmp_path):
    """Two cases of one customer would say two things of one quota."""
    rule = {"match": {"customer": "acme", "kind": "outage"}, "customer_bytes": "1GiB"}
    with pytest.raises(ConfigError, match=r"quotas\.rules\[0\]\.customer_bytes"):
        parse_config({"quotas": {"rules": [rule]}, "regions": {}}, base=tmp_path)


def test_many_uploads_race_for_the_last_bytes(tmp_path):
    """Never a byte over, none left while somebody wants it, and nobody waits for ever."""
    with running_core(tmp_path, quotas={"customer_bytes": 10_000}) as core:
        uploads = core.uploads()
        clients = [core.client("ann", uploads=uploads) for _ in range(12)]
        outcomes: list[str] = []

        def send(number: int) -> None:
            case = "ACME-1" if number % 2 else "ACME-2"
            try:
                clients[number].put(f"/{case}/to-support/f{number}", b"x" * 1500)
                outcomes.append("taken")
            except QuotaExceededError as error:
                assert "all cases of the customer may hold 10000 bytes" in str(error)  # noqa: PT017
                outcomes.append("refused")

        threads = [threading.Thread(target=send, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
        with core.database.read() as connection:
            used = used_by_customer(connection, "acme")
        assert used.bytes <= 10_000
        assert outcomes.count("taken") >= 1
        while used.bytes + 1500 <= 10_000:
            core.client("ann").put(f"{IN}/more-{used.bytes}", b"y" * 1500)
            with core.database.read() as connection:
                used = used_by_customer(connection, "acme")
        with pytest.raises(QuotaExceededError):
            core.client("ann").begin(f"{IN}/one", length=1500)
        core.client("gus", "us").put("/GLOBEX-1/to-support/x", b"z" * 5000)


def test_files_are_counted_by_version_and_given_back(tmp_path):
    """A case takes as many files as it may, partial ones too; one that was dropped counts no more."""
    with running_core(tmp_path, quotas={"case_files": 2}) as core:
        client = core.client("ann")
        client.put(f"{IN}/a", b"1")
        handle = client.begin(f"{IN}/b")
        with pytest.raises(QuotaExceededError, match="2 files, and there are as many"):
            client.begin(f"{IN}/c")
        assert client.filesystem.space(parse_path(IN)).free == 0
        handle.abort("nothing came")
        client.put(f"{IN}/a", b"another version")
        with pytest.raises(QuotaExceededError):
            client.put(f"{IN}/a", b"a third")
        client.put("/ACME-2/to-support/a", b"another case")


def test_slab_is_reserved_before_the_last_is_used_up(tmp_path):
    """A length that is unknown reserves slabs; the next is there before the first is full, and the rest goes back."""
    with running_core(tmp_path, quotas={"case_bytes": "1GiB"}) as core:
        handle = core.client("ann").begin(f"{IN}/long")
        assert core.rows()[0].reserved == FIRST_SLAB
        handle.write(FIRST_SLAB - 9 * 2**20, b"x")
        assert core.rows()[0].reserved == FIRST_SLAB
        handle.write(FIRST_SLAB - 2**20, b"x")
        assert core.rows()[0].reserved == 2 * FIRST_SLAB
        handle.truncate(0)
        handle.write(0, b"short after all")
        handle.commit()
        with core.database.read() as connection:
            assert used_by_case(connection, core.rows()[0].case_id).bytes == 15


def test_upload_ends_at_the_quotas_last_byte(tmp_path):
    """Where less than a slab is left, that is taken to its last byte, and the next one is refused with the reason."""
    with running_core(tmp_path, quotas={"case_bytes": 100_000}) as core:
        handle = core.client("ann").begin(f"{IN}/long")
        for start in range(0, 100_000, 10_000):
            handle.write(start, b"x" * 10_000)
        with pytest.raises(QuotaExceededError, match="and 0 are left"):
            handle.write(100_000, b"x")
        handle.commit()
        assert core.rows()[0].size == 100_000


def test_what_a_dead_worker_had_reserved_comes_back(tmp_path, nursery):
    """After kill -9 nothing stays reserved but what has come."""
    with running_core(tmp_path, nursery, quotas={"case_bytes": "100MiB"}) as core:
        dying = core.uploads("w0:1:dead")
        handle = core.client("ann", uploads=dying).begin(f"{IN}/cut")
        handle.write(0, b"x" * 300_000)
        handle.sync()
        handle._writer.close()  # the process is gone, and its lock on the log with it
        with pytest.raises(QuotaExceededError):
            core.client("ann").begin(f"{IN}/other", length=50 * 2**20)
        core.uploads("w0:2:new").recover(["w0"])
        core.intake._sweep.measure_partials()
        assert core.rows()[0].reserved == 300_000
        core.client("ann").begin(f"{IN}/other", length=50 * 2**20).abort("enough")


def test_space_is_the_smallest_of_all_that_bounds(tmp_path):
    """What statvfs shows is what is left of the customer's quota, where that is less than the case's."""
    with running_core(tmp_path, quotas={"case_bytes": 5000, "customer_bytes": 6000}) as core:
        core.client("ann").put("/ACME-2/to-support/a", b"x" * 4000)
        report = core.client("ann").filesystem.space(parse_path(IN))
        assert (report.free, report.total) == (2000, 6000)


def test_quota_is_shown_for_a_case_and_a_customer(tmp_path, run):
    """With limits, what is used and what is left; what there is nothing of is said."""
    quotas = {"case_bytes": 5000, "rules": [{"match": {"customer": "acme"}, "customer_files": 10}]}
    with running_core(tmp_path, quotas=quotas) as core:
        core.client("ann").put(f"{IN}/a", b"x" * 4000)
        core.client("ann").put("/ACME-2/to-support/a", b"x" * 10)
        arguments = ("--config", tmp_path / "config.yaml")
        code, out, _ = run("quota", "show", "ACME-1", *arguments, "--json")
        customer, case = json.loads(out)
        assert (code, case["bytes"], case["bytes_left"], case["files"]) == (0, 4000, 1000, 1)
        assert (customer["what"], customer["bytes"], customer["files_left"]) == ("customer", 4010, 8)
        code, out, _ = run("quota", "show", "acme", *arguments)
        assert (code, "ACME-2" in out, "4010" in out) == (0, True, True)
        code, _, error = run("quota", "show", "nobody", *arguments)
        assert (code, "nobody" in error) == (1, True)
