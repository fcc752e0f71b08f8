"""The folders that people see: what those inside a case are called, and how cases lie in the tree of each login."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from casemap.layout import DirectorySet, FolderRule, FolderTree, LayoutError, LayoutSettings, Zone
from casemap.model import Role
from mft.config.places import MatchConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.config.document import KeyPath


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerConfig:
    """Whose layout it is; what is absent is not looked at."""

    role: Literal["customer", "engineer"] | None = None
    """`engineer` is all staff."""
    customer: str | None = None
    """Pattern of the id of the customer whose login it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldersConfig:
    """One layout: the folders in which cases stand."""

    match: ViewerConfig = field(default_factory=ViewerConfig)
    paths: tuple[str, ...] = ()
    """Templates."""
    mine: tuple[str, ...] = ()
    """Templates of folders that hold only the cases whose assignee the login is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoriesConfig:
    """Other names for the directories inside some cases."""

    match: MatchConfig = field(default_factory=MatchConfig)
    upload: str | None = ""
    """Empty: as in the other cases; null: these cases have none."""
    download: str | None = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutConfig:
    """The folders inside a case, and those above."""

    upload: str = "to-support"
    """Where customers upload."""
    download: str = "from-support"
    """Where engineers leave files for the customer."""
    meta: str = ".meta"
    """Receipts, states and scrub reports, read only."""
    directories: tuple[DirectoriesConfig, ...] = ()
    """The first that fits a case; else the three names above."""
    folders: tuple[FoldersConfig, ...] = ()
    """The first that fits a login; else the built-in layout."""


class LayoutFault(NamedTuple):
    """What is wrong with a layout: the key below `layout`, what was expected, and what stands there."""

    path: KeyPath
    expected: str
    found: str


def layout_of(config: LayoutConfig) -> LayoutSettings:
    """Return the layout of a configuration in which `layout_faults` finds none."""
    return LayoutSettings(
        upload=config.upload,
        download=config.download,
        meta=config.meta,
        rules=tuple(
            FolderRule(
                tree=_tree(config, each),
                role=None if each.match.role is None else Role(each.match.role),
                customer=each.match.customer,
            )
            for each in config.folders
        ),
        sets=tuple(_set(config, each) for each in config.directories),
    )


def layout_faults(config: LayoutConfig) -> Iterator[LayoutFault]:
    """Yield what is wrong with the templates and the sets of directories, once the three plain names are good."""
    try:
        LayoutSettings(upload=config.upload, download=config.download, meta=config.meta)
    except ValueError as error:
        yield LayoutFault((), f"upload, download and meta to be names that every system takes ({error})", "")
        return
    for index, rule in enumerate(config.folders):
        here: KeyPath = ("folders", index)
        if not rule.paths and not rule.mine:
            yield LayoutFault((*here, "paths"), "at least one template, such as /{case.number} {case.title}", "none")
        if rule.mine and rule.match.role != "engineer":
            yield LayoutFault((*here, "mine"), "match.role to be engineer: customers are assigned no cases", "")
        try:
            _tree(config, rule)
        except LayoutError as error:
            key = "mine" if error.mine else "paths"
            yield LayoutFault((*here, key, error.index), str(error), repr(error.template))
        if rule.match.role is None and rule.match.customer in {None, "*"} and index + 1 < len(config.folders):
            yield LayoutFault((*here, "match"), "something that it does not match: no layout below is ever reached", "")
    for index, each in enumerate(config.directories):
        chosen = _set(config, each)
        given = ", ".join(name for name in (chosen.upload, chosen.download, config.meta) if name is not None)
        try:
            LayoutSettings(meta=config.meta, sets=(chosen,))
        except ValueError as error:
            yield LayoutFault(("directories", index), f"names that can stand beside each other ({error})", given)


def _tree(config: LayoutConfig, rule: FoldersConfig) -> FolderTree:
    zones = {config.upload: Zone.UPLOAD, config.download: Zone.DOWNLOAD, config.meta: Zone.META}
    return FolderTree(rule.paths, mine=rule.mine, zones=zones)


def _set(config: LayoutConfig, each: DirectoriesConfig) -> DirectorySet:
    return DirectorySet(
        upload=config.upload if each.upload == "" else each.upload,
        download=config.download if each.download == "" else each.download,
        customer=each.match.customer,
        case=each.match.case,
        kind=each.match.kind,
        classification=each.match.classification,
    )
