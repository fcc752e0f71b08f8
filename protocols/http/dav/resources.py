"""The tree as wsgidav sees it: a provider for one request, whose paths are as they stand in addresses, quoted.

What goes wrong in the filesystem is kept in `TreeProvider.failure` on its way through wsgidav, which would make a 500
of it: `rules` raises it again.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET

from wsgidav.dav_error import DAVError, PRECONDITION_CODE_ProtectedProperty
from wsgidav.dav_provider import DAVCollection, DAVNonCollection, DAVProvider

from protocols.errors import ElsewhereError, FileSystemError, InvalidNameError, NotFoundError
from protocols.filesystem import Copy, Entry, Locking, Properties, SetTimes
from protocols.http.dav.places import placeholder
from protocols.http.dav.rows import Subject, is_live, lock_discovery
from protocols.http.dav.writelocks import WriteLocks
from protocols.http.status import as_problem
from protocols.path import VirtualPath

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from protocols.filesystem import WritableFileSystem
    from protocols.http.target import Mount

ET.register_namespace("D", "DAV:")
logging.getLogger("wsgidav").setLevel(logging.CRITICAL + 1)  # it logs names, and what it was sent
_NOWHERE = "/-"
"""Begins the names of what cannot be locked, where wsgidav wants one."""
_WIN32_MODIFIED = "{urn:schemas-microsoft-com:}Win32LastModifiedTime"


def path_of(quoted: str) -> VirtualPath:
    """Return the virtual path of a quoted one, whose parts were checked when it was made."""
    return VirtualPath(tuple(unquote(part) for part in quoted.split("/") if part))


class TreeProvider(DAVProvider):  # type: ignore[misc]  # wsgidav has no types
    """One session's tree, for one request."""

    def __init__(
        self,
        filesystem: WritableFileSystem,
        *,
        mount: Mount,
        login: str,
        lock_timeout: float,
        adopt: Callable[[], None] | None = None,
    ) -> None:
        """Serve *filesystem* as it appears at *mount*; *adopt* is what a PUT does once the rules allow it."""
        super().__init__()
        self.share_path = ""
        self.filesystem = filesystem
        self.mount = mount
        self.login = login
        self.adopt = adopt
        self.failure: Exception | None = None
        """What went wrong behind wsgidav's back."""
        self.made_new = False
        """Whether nothing whole was where something is put, copied or moved to: wsgidav would say 204."""
        self.path = VirtualPath()
        """What the request is about."""
        self.write_locks: WriteLocks | None = None
        if isinstance(filesystem, Locking):
            self.write_locks = WriteLocks(
                filesystem.locks, login=login, longest=lock_timeout, href_of=self._href_of_place
            )
            self.set_lock_manager(self.write_locks)

    def get_resource_inst(self, path: str, environ: dict[str, Any]) -> Folder | File | None:
        """Return what is at the quoted *path*; None: nothing is."""
        return self.find(path_of(path), environ)

    def find(self, path: VirtualPath, environ: dict[str, Any]) -> Folder | File | None:
        """Return what is at *path*, a locked name without a file included."""
        try:
            entry: Entry | None = self.filesystem.stat(path)
        except ElsewhereError as error:  # it is there, and a client is told where
            self.fail(error)
        except NotFoundError:
            place = self.place(path)
            entry = (
                None
                if self.write_locks is None or place is None
                else placeholder(path, place, self.write_locks.held(place))
            )
            if entry is None:
                return None
            return File(self, path, entry, environ, is_placeholder=True)
        assert entry is not None  # noqa: S101 -- tells mypy what `stat` returns
        if entry.partial and path == self.path and environ["REQUEST_METHOD"] == "PUT":
            self.made_new = True  # of an upload that broke off nobody has seen a file yet
        kind = Folder if entry.is_directory else File
        return kind(self, path, entry, environ)

    def place(self, path: VirtualPath, *, changing: bool = False) -> str | None:
        """Return the name of *path* for locks; None: it has none."""
        if not isinstance(self.filesystem, Locking):
            return None
        try:
            return self.filesystem.lock_place(path, changing=changing)
        except (NotFoundError, InvalidNameError):
            return None

    def ref_url(self, path: VirtualPath) -> str:
        """Return what wsgidav knows *path* by."""
        return self.place(path) or _NOWHERE + quoted_path(path)

    def ref_url_to_path(self, ref_url: str) -> str:  # noqa: ARG002 -- wsgidav's interface
        """Return the path of the request: wsgidav asks only to show a lock that covers it."""
        return quoted_path(self.path)

    def fail(self, error: Exception) -> NoReturn:
        """Keep *error* and get out of wsgidav."""
        self.failure = error
        raise DAVError(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _href_of_place(self, place: str) -> str:
        """Return the address of a locked place as seen from the request's path; its own where it is not above that."""
        own = self.place(self.path)
        here = self.mount.url(self.path)
        if own is None:
            return here
        if place == own:
            return here
        if place.startswith(own.rstrip("/") + "/"):
            return here.rstrip("/") + quote(place[len(own.rstrip("/")) :])
        above = own.count("/") - place.count("/")
        parts = here.rstrip("/").split("/")
        return "/".join(parts[: max(1, len(parts) - above)]) + "/"

    # -- changes over whole folders --------------------------------------------------------------------------------

    def remove(self, path: VirtualPath, *, directory: bool) -> list[tuple[VirtualPath, FileSystemError]]:
        """Remove a file, or a folder with all that it holds; return what could not be removed, the deepest first."""
        errors: list[tuple[VirtualPath, FileSystemError]] = []
        try:
            if directory:
                for entry in list(self.filesystem.scandir(path)):
                    errors += self.remove(path.child(entry.name), directory=entry.is_directory)
            if not errors:
                self.filesystem.remove(path, directory=directory)
        except FileSystemError as error:
            errors.append((path, error))
        return errors

    def copy(
        self, source: Entry, path: VirtualPath, target: VirtualPath, *, whole: bool
    ) -> list[tuple[VirtualPath, FileSystemError]]:
        """Copy a file, or a folder and with *whole* what it holds; return what could not be copied."""
        errors: list[tuple[VirtualPath, FileSystemError]] = []
        try:
            if not source.is_directory:
                if not isinstance(self.filesystem, Copy):
                    raise InvalidNameError("nothing is copied here")
                self.filesystem.copy(path, target, replace=True)
            else:
                self.filesystem.mkdir(target)
            self._copy_properties(path, target)
            if source.is_directory and whole:
                for entry in list(self.filesystem.scandir(path)):
                    errors += self.copy(entry, path.child(entry.name), target.child(entry.name), whole=True)
        except FileSystemError as error:
            errors.append((path, error))
        return errors

    def _copy_properties(self, path: VirtualPath, target: VirtualPath) -> None:
        if isinstance(self.filesystem, Properties):
            found = self.filesystem.properties(path).get("", {})
            if found:
                self.filesystem.change_properties(target, dict(found))


def quoted_path(path: VirtualPath) -> str:
    """Return *path* as it stands in addresses."""
    return "/" + "/".join(quote(part, safe="") for part in path.parts)


def as_dav_error(error: FileSystemError) -> DAVError:
    """Return what stands for *error* in a multistatus."""
    problem = as_problem(error)
    return DAVError(HTTPStatus.INTERNAL_SERVER_ERROR if problem is None else problem.status, str(error))


class _Resource:
    """What files and folders have in common."""

    provider: TreeProvider
    entry: Entry
    at: VirtualPath
    environ: dict[str, Any]
    is_collection: bool
    is_placeholder: bool

    def _describe(self, provider: TreeProvider, path: VirtualPath, entry: Entry, *, is_placeholder: bool) -> None:
        self.provider = provider
        self.at = path
        self.entry = entry
        self.is_placeholder = is_placeholder
        self._changes: dict[str, str | None] = {}

    def get_ref_url(self) -> str:
        return self.provider.ref_url(self.at)

    def get_href(self) -> str:
        return self.provider.mount.url(self.at) + ("/" if self.is_collection else "")

    def get_etag(self) -> str | None:
        """Return its validator: of what was sent, or of what a reader gets, if that is what the request speaks of.

        Who sent a file sees its own version's, and gets the other one by GET: either tells that it knows this version.
        """
        read = self.entry.read_etag
        spoken = (self.environ.get(name, "") for name in ("HTTP_IF", "HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"))
        return read if read is not None and any(f'"{read}"' in text for text in spoken) else self.entry.etag

    def support_etag(self) -> bool:
        return self.entry.etag is not None

    def get_last_modified(self) -> float:
        return self.entry.modified

    def get_creation_date(self) -> float | None:
        return self.entry.created

    def prevent_locking(self) -> bool:
        """Say whether the session may not lock it; raises what tells why."""
        return self.provider.place(self.at, changing=True) is None

    # -- properties ------------------------------------------------------------------------------------------------

    def get_property_value(self, name: str) -> ET.Element:
        """Return the locks that cover it, for the answer to a LOCK; nothing else is asked for by way of wsgidav."""
        if name != "{DAV:}lockdiscovery" or self.provider.write_locks is None:
            raise DAVError(HTTPStatus.NOT_FOUND)
        place = self.provider.place(self.at)
        locks = () if place is None else self.provider.write_locks.get_covering(place)
        subject = Subject(href=self.get_href(), entry=self.entry, place=place, locks=locks)
        content = f'<D:lockdiscovery xmlns:D="DAV:">{lock_discovery(subject)}</D:lockdiscovery>'
        return ET.fromstring(content)  # noqa: S314 -- written by us; the owner in it was parsed when it came

    def set_property_value(self, name: str, value: ET.Element | None, *, dry_run: bool = False) -> None:
        """Note a change in the first round, make all of them at once in the second."""
        if dry_run:
            if is_live(name):
                raise DAVError(HTTPStatus.FORBIDDEN, err_condition=PRECONDITION_CODE_ProtectedProperty)
            if not isinstance(self.provider.filesystem, Properties):
                raise DAVError(HTTPStatus.FORBIDDEN)
            self._changes[name] = None if value is None else ET.tostring(value, encoding="unicode")
            return
        changes, self._changes = self._changes, {}
        if not changes:
            return
        filesystem = self.provider.filesystem
        assert isinstance(filesystem, Properties)  # noqa: S101 -- the first round saw to it
        try:
            filesystem.change_properties(self.at, changes)
            self._take_times(changes)
        except Exception as error:  # noqa: BLE001 -- the border is behind wsgidav
            self.provider.fail(error)

    def _take_times(self, changes: Mapping[str, str | None]) -> None:
        """Keep the time of a file that Windows sets by a property of its own."""
        text = changes.get(_WIN32_MODIFIED)
        filesystem = self.provider.filesystem
        if text is None or self.is_collection or not isinstance(filesystem, SetTimes):
            return
        import email.utils  # noqa: PLC0415 -- for Windows alone

        try:
            told = ET.fromstring(text).text or ""  # noqa: S314 -- written by us
            modified = email.utils.parsedate_to_datetime(told).timestamp()
        except (ValueError, OverflowError):
            return
        if modified > 0:
            filesystem.set_modified(self.at, modified)

    # -- whole requests --------------------------------------------------------------------------------------------

    def handle_delete(self) -> list[tuple[str, DAVError]] | bool:
        """Remove it with all that it holds."""
        provider = self.provider
        self._check_below(self)
        try:
            errors = [] if self.is_placeholder else provider.remove(self.at, directory=self.is_collection)
        except Exception as error:  # noqa: BLE001
            provider.fail(error)
        self._drop_locks(self.at, errors)
        return self._told(errors)

    def handle_move(self, dest_path: str) -> list[tuple[str, DAVError]] | bool:
        """Rename it; what is in the way is replaced by its next version, or removed where it cannot be."""
        provider, target = self.provider, path_of(dest_path)
        try:
            there = self._there(target)
            errors: list[tuple[VirtualPath, FileSystemError]] = []
            if there is not None and (there.is_directory or self.is_collection):
                errors = provider.remove(target, directory=there.is_directory)
                self._drop_locks(target, errors)
            if not errors:
                provider.filesystem.rename(self.at, target, replace=True)
        except Exception as error:  # noqa: BLE001
            provider.fail(error)
        self._drop_locks(self.at, errors)
        return self._told(errors)

    def handle_copy(self, dest_path: str, *, depth_infinity: bool) -> list[tuple[str, DAVError]] | bool:
        """Copy it; what is in the way is replaced by its next version, or removed where it cannot be."""
        provider, target = self.provider, path_of(dest_path)
        try:
            there = self._there(target)
            errors: list[tuple[VirtualPath, FileSystemError]] = []
            if there is not None and (there.is_directory or self.is_collection):
                errors = provider.remove(target, directory=there.is_directory)
                self._drop_locks(target, errors)
            if not errors:
                errors = provider.copy(self.entry, self.at, target, whole=depth_infinity)
        except Exception as error:  # noqa: BLE001
            provider.fail(error)
        return self._told(errors)

    def _there(self, target: VirtualPath) -> Entry | None:
        try:
            return self.provider.filesystem.stat(target)
        except NotFoundError:
            self.provider.made_new = True
            return None

    def _check_below(self, resource: _Resource) -> None:
        """Raise wsgidav's 423 where a lock below a folder stands against its going."""
        locks = self.provider.write_locks
        if locks is not None:
            tokens = self.environ["wsgidav.ifLockTokenList"]
            locks.check_write_permission(
                url=resource.get_ref_url(), depth="infinity", token_list=tokens, principal=self.provider.login
            )

    def _drop_locks(self, path: VirtualPath, errors: Sequence[tuple[VirtualPath, FileSystemError]]) -> None:
        place = self.provider.place(path)
        if self.provider.write_locks is not None and place is not None and not errors:
            self.provider.write_locks.drop_below(place)

    def _told(self, errors: Sequence[tuple[VirtualPath, FileSystemError]]) -> list[tuple[str, DAVError]] | bool:
        """Return what wsgidav answers: 201 or 204, one error as it is, or a multistatus."""
        if not errors:
            return []
        if len(errors) == 1 and errors[0][0] == self.at:
            self.provider.fail(errors[0][1])
        return [(self.provider.mount.url(path), as_dav_error(error)) for path, error in errors]


class File(_Resource, DAVNonCollection):  # type: ignore[misc]  # wsgidav has no types
    """A file, or a locked name that has none yet."""

    def __init__(
        self,
        provider: TreeProvider,
        path: VirtualPath,
        entry: Entry,
        environ: dict[str, Any],
        *,
        is_placeholder: bool = False,
    ) -> None:
        """Describe what is at *path*."""
        super().__init__(quoted_path(path), environ)
        self._describe(provider, path, entry, is_placeholder=is_placeholder)

    def get_content_length(self) -> int:
        """Return its size."""
        return self.entry.size

    def get_content(self) -> NoReturn:
        """Not asked for: the head sends files by itself."""
        raise NotImplementedError

    def begin_write(self, *, content_type: str | None = None) -> File:  # noqa: ARG002 -- wsgidav's interface
        """Return what is written to: the body has come already, and is adopted when it is closed."""
        return self

    def write(self, data: bytes) -> NoReturn:
        """Not called: nothing comes by way of wsgidav."""
        raise NotImplementedError

    def close(self) -> None:
        """Adopt the body, or in a rehearsal do nothing."""
        if self.provider.adopt is None:
            return
        try:
            self.provider.adopt()
        except Exception as error:  # noqa: BLE001 -- the border is behind wsgidav
            self.provider.fail(error)


class Folder(_Resource, DAVCollection):  # type: ignore[misc]  # wsgidav has no types
    """A folder."""

    def __init__(self, provider: TreeProvider, path: VirtualPath, entry: Entry, environ: dict[str, Any]) -> None:
        """Describe what is at *path*."""
        super().__init__(quoted_path(path), environ)
        self._describe(provider, path, entry, is_placeholder=False)

    def get_member_names(self) -> list[str]:
        """Not asked for: whole requests are handled here."""
        raise NotImplementedError

    def create_collection(self, name: str) -> None:
        """Make a folder in it."""
        self.provider.filesystem.mkdir(self.at.child(unquote(name)))

    def create_empty_resource(self, name: str) -> File:
        """Return a file that is not there yet: it comes with its first bytes, and until then its lock stands for it."""
        path = self.at.child(unquote(name))
        if self.environ["REQUEST_METHOD"] == "LOCK" and self.provider.place(path, changing=True) is None:
            raise DAVError(HTTPStatus.FORBIDDEN, "nothing is locked there")
        entry = Entry(name=path.name, is_directory=False)
        return File(self.provider, path, entry, self.environ, is_placeholder=True)
