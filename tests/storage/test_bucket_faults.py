"""What a bucket's store makes of a service that fails, is slow, resets, breaks off, loses its answer or lies.

Nothing that was acknowledged is lost, and nothing is taken for whole that is not.
"""

import datetime as dt
import ipaddress
import secrets
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from storage.buckets import S3Bucket, Wire, bucket_store
from storage.errors import ObjectExistsError, ObjectNotFoundError, StoreRefusedError, StoreUnavailableError
from storage.keys.envelope import Region
from storage.memory import MemoryStore
from storage.probe import probe
from storage.regional import Placement, RegionalStore
from tests.objectservers.moto import ACCESS, SECRET, s3_client
from tests.objectservers.proxy import running_proxy

MIB = 2**20
LONG = b"".join(bytes([n]) * MIB for n in range(12))


class Shaky:
    """A store behind a proxy that does what it is told."""

    def __init__(self, url, orders, server, **wire):
        settings = {"timeout": 20.0, "retries": 2, "part_bytes": 5 * MIB}
        self.prefix = f"shaky/{secrets.token_hex(8)}"
        self.orders, self.server = orders, server
        self.bucket = S3Bucket(
            bucket="plain", endpoint=url, prefix=self.prefix, access_key_id=ACCESS, secret_key=SECRET,
            wire=Wire(**(settings | wire)),
        )  # fmt: skip
        self.store = bucket_store(self.bucket)

    def fail(self, how, times=10**6, when=lambda _asked: True):
        """Do wrong *how* the next so many times that *when* holds."""
        left = [times]

        def wrong(asked):
            if left[0] and when(asked):
                left[0] -= 1
                return how
            return None

        self.orders.wrong = wrong

    def there(self):
        """Say by somebody else's client, past the proxy, what is visible, with sizes."""
        found = s3_client(self.server).list_objects_v2(Bucket="plain", Prefix=self.prefix).get("Contents", [])
        return {each["Key"].removeprefix(self.prefix + "/"): each["Size"] for each in found}

    def uploads(self):
        """Say which multipart uploads are open."""
        found = s3_client(self.server).list_multipart_uploads(Bucket="plain").get("Uploads", [])
        return [each["Key"] for each in found if each["Key"].startswith(self.prefix)]


@pytest.fixture
def shaky(moto):
    """A store on the emulator, behind a proxy."""
    with running_proxy(moto) as (url, orders):
        yield Shaky(url, orders, moto)


def pieces(data, size=MIB):
    """Cut *data* up."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def is_completion(asked):
    """Say whether a request completes a multipart upload."""
    return asked.method == "POST" and "uploadId=" in asked.path


def is_part(asked):
    """Say whether a request uploads a part."""
    return asked.method == "PUT" and "partNumber=" in asked.path


@pytest.mark.parametrize("how", ["500", "503", "reset"])
def test_failures_that_pass_are_repeated(shaky, how):
    """A service that fails now and then is asked again; who stores and reads does not notice."""
    count = [0]

    def every_third(_asked):
        count[0] += 1
        return how if count[0] % 3 == 1 else None

    shaky.orders.wrong = every_third
    shaky.store.put("bodies/ab/one", pieces(LONG))
    shaky.store.put("slots/ab/one", [b"slot"])
    assert shaky.store.open("bodies/ab/one").read(0, len(LONG)) == LONG
    assert shaky.store.open("slots/ab/one").read(0, 9) == b"slot"
    assert [found.name for found in shaky.store.list()] == ["bodies/ab/one", "slots/ab/one"]
    shaky.store.delete("bodies/ab/one")
    assert shaky.there() == {"slots/ab/one": 4}


@pytest.mark.parametrize("content", [[b"small"], pieces(LONG)], ids=["small", "in parts"])
def test_refusal_is_told_with_the_code_of_the_service(shaky, content):
    """A bucket whose quota is used up, say: an operator must not look for wrong credentials."""
    shaky.fail("403", when=lambda asked: asked.method in {"PUT", "POST"})
    with pytest.raises(StoreRefusedError, match="QuotaExceeded"):
        shaky.store.put("bodies/ab/one", content)
    shaky.fail(None)
    shaky.store.put("bodies/ab/one", content)


@pytest.mark.parametrize("how", ["500", "503", "reset"])
def test_failures_that_stay_are_told(shaky, how):
    """A service that goes on failing is unavailable for every verb, and nothing is there afterwards."""
    shaky.fail(how)
    for verb in (
        shaky.store.open,
        shaky.store.stat,
        shaky.store.delete,
        lambda n: shaky.store.put(n, [b"x"]),
        lambda _n: list(shaky.store.list()),
        lambda _n: shaky.store.reap(0),
        lambda _n: probe(shaky.store),
    ):
        with pytest.raises(StoreUnavailableError, match="bucket plain of http"):
            verb("a")
    assert shaky.there() == {}


def test_service_that_is_too_slow_is_unavailable(moto):
    """An answer that does not come in time is no answer."""
    with running_proxy(moto) as (url, orders):
        slow = Shaky(url, orders, moto, timeout=0.3, retries=0)
        slow.fail(3.0, when=lambda asked: asked.method in {"GET", "HEAD"})
        with pytest.raises(StoreUnavailableError):
            slow.store.stat("a")
        with pytest.raises(StoreUnavailableError):
            list(slow.store.list())


@pytest.mark.parametrize("how", ["cut", "short", "reset"])
def test_answer_that_breaks_off_is_gone_on_with(shaky, how):
    """Half a body, with or without the length that was promised, is completed by asking for the rest."""
    shaky.store.put("bodies/ab/one", pieces(LONG))
    shaky.store.put("slots/ab/one", [b"0123456789"])
    count = [0]

    def every_other(asked):
        count[0] += asked.method == "GET"
        return how if asked.method == "GET" and count[0] % 2 else None

    shaky.orders.wrong = every_other
    reader = shaky.store.open("bodies/ab/one")
    assert b"".join(reader.read(offset, 700_000) for offset in range(0, len(LONG), 700_000)) == LONG
    assert reader.read(7 * MIB - 1, 2) == b"\6\7"
    assert shaky.store.open("slots/ab/one").read(0, 99) == b"0123456789"


@pytest.mark.parametrize("how", ["cut", "reset", "500"])
def test_body_that_never_comes_whole_is_told(shaky, how):
    """Where no repetition brings the rest, the reader says that the store is unavailable, and hands out nothing."""
    shaky.store.put("bodies/ab/one", pieces(LONG))
    shaky.store.put("slots/ab/one", [b"0123456789"])
    reader = shaky.store.open("bodies/ab/one")
    shaky.fail(how, when=lambda asked: asked.method == "GET")
    with pytest.raises(StoreUnavailableError):
        reader.read(MIB, 1000)
    with pytest.raises(StoreUnavailableError):
        shaky.store.open("slots/ab/one")
    shaky.fail(how, 0)
    assert reader.read(MIB, 3) == b"\1\1\1"


def test_completion_whose_answer_is_lost_is_acknowledged(shaky):
    """The service completed the upload and its answer was lost: what lies there is whole, and counts."""
    shaky.fail("lost", 1, is_completion)
    assert shaky.store.put("bodies/ab/one", pieces(LONG)).size == len(LONG)
    shaky.fail("lost", 0)
    assert shaky.there() == {"bodies/ab/one": len(LONG)}
    assert shaky.store.open("bodies/ab/one").read(0, len(LONG)) == LONG


def test_completion_that_never_happened_is_told(shaky):
    """The service did not complete the upload: nothing is there, and nothing was acknowledged."""
    shaky.fail("500", when=is_completion)
    with pytest.raises(StoreUnavailableError):
        shaky.store.put("bodies/ab/one", pieces(LONG))
    shaky.fail("500", 0)
    assert shaky.there() == {}
    shaky.store.reap(-60)
    assert shaky.uploads() == []


def test_part_that_cannot_be_sent_aborts_the_upload(shaky):
    """A part that fails for good leaves nothing visible, and no parts that somebody pays for."""
    shaky.fail("500", when=is_part)
    with pytest.raises(StoreUnavailableError):
        shaky.store.put("bodies/ab/one", pieces(LONG))
    shaky.fail("500", 0)
    assert shaky.there() == {}
    shaky.store.reap(-60)
    assert shaky.uploads() == []
    shaky.store.put("bodies/ab/one", pieces(LONG))
    assert shaky.there() == {"bodies/ab/one": len(LONG)}


def test_small_put_whose_answer_is_lost_is_acknowledged(shaky):
    """The repetition meets what the first try has stored, and knows its own."""
    shaky.fail("lost", 1, lambda asked: asked.method == "PUT")
    assert shaky.store.put("slots/ab/one", [b"mine"]).size == 4
    shaky.fail("lost", 1, lambda asked: asked.method == "PUT")
    assert shaky.store.put("slots/ab/one", [b"newer"], replace=True).size == 5
    assert shaky.store.open("slots/ab/one").read(0, 9) == b"newer"


def test_name_that_another_took_meanwhile_is_refused(shaky):
    """Between the look and the put another one stored: what it stored stays."""

    def other_first(asked):
        if asked.method == "PUT" and "mine" in asked.body.decode():
            s3_client(shaky.server).put_object(Bucket="plain", Key=f"{shaky.prefix}/slots/ab/one", Body=b"other")

    shaky.orders.wrong = other_first
    with pytest.raises(ObjectExistsError):
        shaky.store.put("slots/ab/one", [b"mine"])
    assert shaky.store.open("slots/ab/one").read(0, 9) == b"other"


@pytest.mark.parametrize("size", [1000, 12 * MIB])  # the second is cut in its last part, which may be of any length
def test_object_that_comes_out_shorter_is_not_acknowledged(shaky, size):
    """A service that keeps less than it was given is found out by the size that it tells, and cleared."""
    shaky.fail("trim", 1, lambda asked: asked.method == "PUT" and 100 < len(asked.body) < 5 * MIB)
    with pytest.raises(StoreUnavailableError, match=r"took .* bytes"):
        shaky.store.put("bodies/ab/one", pieces(LONG[:size]))
    assert shaky.there() == {}


def test_reader_goes_on_in_the_next_region(shaky):
    """Bytes come from another region from where the bucket stops answering."""
    near, far = Region("near"), Region("far")
    other = MemoryStore()
    shaky.store.put("bodies/ab/one", pieces(LONG))
    other.put("bodies/ab/one", [LONG])
    placement = Placement(home=far, copies=(near,), read_order=(near, far))
    reader = RegionalStore({near: shaky.store, far: other}, placement).open("bodies/ab/one")
    begun = b"".join(reader.read(offset, 200_000) for offset in range(0, 2_000_000, 200_000))
    assert reader.region == near
    shaky.fail("reset")
    rest = b"".join(reader.read(offset, 200_000) for offset in range(2_000_000, len(LONG), 200_000))
    assert reader.region == far
    assert begun + rest == LONG


def test_who_reads_on_asks_seldom_and_who_jumps_gets_what_he_asked_for(shaky):
    """Sequential reads are fetched ahead in large pieces; a jump fetches its own bytes and no more."""
    shaky.store.put("bodies/ab/one", pieces(LONG))
    shaky.orders.asked.clear()
    reader = shaky.store.open("bodies/ab/one")
    assert b"".join(reader.read(offset, 65_536) for offset in range(0, len(LONG), 65_536)) == LONG
    assert len([asked for asked in shaky.orders.asked if asked.method == "GET"]) <= 8
    reader.close()
    shaky.orders.asked.clear()
    reader = shaky.store.open("bodies/ab/one")
    for number in (9, 3, 6):
        assert reader.read(number * MIB, 65_536) == bytes([number]) * 65_536
    asked = [each.headers["range"] for each in shaky.orders.asked if each.method == "GET"]
    assert asked == [f"bytes={n * MIB}-{n * MIB + 65_535}" for n in (9, 3, 6)]


def test_missing_object_is_not_asked_for_again_and_again(shaky):
    """A 404 is an answer."""
    shaky.store.put("there", [b"x"])
    shaky.orders.asked.clear()
    with pytest.raises(ObjectNotFoundError):
        shaky.store.stat("not-there")
    assert len([asked for asked in shaky.orders.asked if "not-there" in asked.path]) == 1


def own_authority(directory):
    """Make an authority and its certificate for 127.0.0.1; return the one in PEM, and the file of the other."""

    def certificate(subject, key, issuer, signer, *extensions):
        now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        builder = (
            builder.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("own authority", "store")]
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    root = certificate(
        names[0], keys[0], names[0], keys[0],
        x509.BasicConstraints(ca=True, path_length=None),
        x509.SubjectKeyIdentifier.from_public_key(keys[0].public_key()),
    )  # fmt: skip
    leaf = certificate(
        names[1], keys[1], names[0], keys[0],
        address,
        x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()),
    )  # fmt: skip
    private = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = directory / "store.pem"
    file.write_bytes(leaf + private)
    return root, file


def test_store_with_an_authority_of_its_own(moto, tmp_path):
    """TLS is verified: against the authority that is named, or the system's, which does not know it."""
    pem, file = own_authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with running_proxy(moto, context) as (url, orders):
        probe(Shaky(url, orders, moto, ca=pem).store)
        stranger = Shaky(url, orders, moto, retries=0, timeout=5.0)
        with pytest.raises(StoreUnavailableError):
            stranger.store.stat("a")
        with pytest.raises(StoreUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            probe(stranger.store)
