"""What one upload of a case teaches is known to the next one, over both protocols, and after a crash."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
PASSWD = "root:x:0:0:root:/root:/bin/bash\nqwertha:x:1007:1007::/home/qwertha:/bin/bash\n"
MENTION = "the job of qwertha did not end\n"


def read(house, name):
    """Return what support reads of a file, once it is there."""
    target = house.directory / f"got-{name}"

    def fetched():
        target.unlink(missing_ok=True)
        return house.sftp("eve", f"get /ACME-1/to-support/{name} {target.name}").returncode == 0

    house.until(fetched, f"{name} of support")
    return target.read_text()


def test_names_of_one_upload_are_found_in_the_next(house):
    """Defined over HTTPS, mentioned over SFTP by somebody else; and again after a kill -9 of all processes."""
    for name, text in {"passwd": PASSWD, "job.log": MENTION, "later.log": MENTION}.items():
        (house.directory / name).write_text(text)
    status, _ = house.curl("ann", "/cases/ACME-1/", "-T", str(house.directory / "passwd"))
    assert status == 201
    first = read(house, "passwd")
    assert house.sftp("bob", "put job.log /ACME-1/to-support/job.log").returncode == 0
    second = read(house, "job.log")
    pseudonym = second.split()[3]
    assert "qwertha" not in first + second
    assert f"\n{pseudonym}:x:1007" in first
    house.kill()
    house.start()
    assert house.sftp("ann", "put later.log /ACME-1/to-support/later.log").returncode == 0
    assert read(house, "later.log") == second
