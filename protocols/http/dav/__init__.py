"""WebDAV (RFC 4918), class 1 and 2, below `/dav`: the tree for those who mount it.

The protocol's rules are wsgidav's (`rules`, `resources`, `writelocks`); bytes go the ways of the HTTPS head: a PUT's
body is received into the landing by the head itself and adopted by the rules once it is whole, so that a slow client
holds no thread, and a GET is the head's own. Listings are written here too, row by row, as the filesystem yields them.
"""

from protocols.http.dav.routes import add_dav, protocol_of

__all__ = ["add_dav", "protocol_of"]
