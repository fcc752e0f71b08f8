"""The server's own keys and certificate: made on first start, loaded afterwards, never replaced by themselves.

Private files have mode 0600 and are whole and durable before anything uses them. One that is damaged, or open to
others, is an error that says what to do: a silently new key would lock clients out, or make old receipts worthless.
"""

from mft.credentials.certificate import certificate_fingerprint
from mft.credentials.files import CredentialError
from mft.credentials.hostkeys import host_key_fingerprint, host_key_lines
from mft.credentials.load import Credentials, load_credentials, load_receipt_key

__all__ = [
    "CredentialError",
    "Credentials",
    "certificate_fingerprint",
    "host_key_fingerprint",
    "host_key_lines",
    "load_credentials",
    "load_receipt_key",
]
