"""Object stores that run for all tests of a session, each started when it is first asked for."""

import pytest

from tests.objectservers.azurite import azurite_command, make_container, running_azurite
from tests.objectservers.ceph import ceph_is_here, running_ceph
from tests.objectservers.moto import running_moto, s3_client


@pytest.fixture(scope="session")
def moto(tmp_path_factory):
    """The URL of an S3 emulator with a bucket `plain`, and one `locked` that has object lock."""
    with running_moto(tmp_path_factory.mktemp("moto")) as url:
        client = s3_client(url)
        client.create_bucket(Bucket="plain")
        client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        yield url


@pytest.fixture(scope="session")
def ceph(tmp_path_factory):
    """The URL of a Ceph gateway with a bucket `plain`, and one `locked` that has object lock."""
    if not ceph_is_here():
        pytest.skip("Ceph's gateway is not installed (Debian: radosgw ceph-mon ceph-osd)")
    with running_ceph(tmp_path_factory.mktemp("ceph")) as url:
        client = s3_client(url)
        client.create_bucket(Bucket="plain")
        client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        yield url


@pytest.fixture(scope="session")
def azurite(tmp_path_factory):
    """The URL of an Azure emulator's account with a container `plain`."""
    command = azurite_command()
    if command is None:
        pytest.skip("the Azure emulator is not installed (.ci/azurite, needs npm)")
    with running_azurite(tmp_path_factory.mktemp("azurite"), command) as url:
        make_container(url, "plain")
        yield url
