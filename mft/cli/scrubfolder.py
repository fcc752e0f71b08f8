"""A folder through the scrubber: its files in several processes, put in place together.

The new folder is made beside its place and takes it when it is whole. What is held back is not in it; `quarantine.json`
at its top says why.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import secrets
import shutil
import signal
import stat
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mft.cli.output import whole_file
from mft.cli.progress import ProgressBar
from mft.cli.scrubfile import Result, Task, learn_file, scrub_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIST = "quarantine.json"
_MADE_BY = "mft scrub"
LARGE = 16 << 20
"""Bytes of a file that is larger than its share from which several processes scrub it, before the others' turn."""
_TOLD_EVERY = 0.2
"""Seconds between two looks at how far the files have come."""


class FolderError(Exception):
    """The folder cannot be scrubbed to where it should go; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Something that is no ordinary file, or could not be read, and is not in the new folder."""

    path: str
    reason: str


@dataclass(slots=True)
class Listing:
    """What a folder holds, by path relative to it."""

    files: dict[str, int] = field(default_factory=dict)
    """Sizes in bytes."""
    directories: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    """Symbolic links that stay within the folder, with their targets."""
    left_out: list[LeftOut] = field(default_factory=list)
    unreadable: list[LeftOut] = field(default_factory=list)


@dataclass(slots=True)
class FolderResult:
    """What came of a folder."""

    results: dict[str, Result] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    failed: list[LeftOut] = field(default_factory=list)
    """Files that could not be read or scrubbed: held back."""

    @property
    def quarantined(self) -> list[dict[str, Any]]:
        """What was held back, with reasons and what can be done about it."""
        held = [
            {
                "path": path,
                "reason": result.report.obstacles[0].reason,
                "advice": result.report.obstacles[0].advice,
                "members": [obstacle.to_dict() for obstacle in result.report.obstacles],
            }
            for path, result in self.results.items()
            if not result.report.scannable
        ]
        held += [{"path": each.path, "reason": each.reason, "advice": "", "members": []} for each in self.failed]
        return sorted(held, key=lambda entry: str(entry["path"]))


def list_folder(root: Path) -> Listing:
    """List what is in *root*, following no link."""
    listing = Listing()

    def refused(error: OSError) -> None:
        path = os.path.relpath(os.fsdecode(error.filename), root)
        listing.unreadable.append(LeftOut(path=path, reason=f"it could not be read: {error.strerror}"))

    for folder, directories, files in os.walk(root, onerror=refused):
        here = Path(folder)
        for name in sorted(directories + files):
            _list_one(root, here / name, listing)
        directories[:] = sorted(name for name in directories if not (here / name).is_symlink())
    return listing


def _list_one(root: Path, path: Path, listing: Listing) -> None:
    name = path.relative_to(root).as_posix()
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        target = str(path.readlink())
        inside = Path(os.path.normpath(path.parent / target)).is_relative_to(root)
        if Path(target).is_absolute() or not inside:
            listing.left_out.append(LeftOut(path=name, reason="a symbolic link that leads out of the folder"))
        else:
            listing.links[name] = target
    elif stat.S_ISDIR(status.st_mode):
        listing.directories.append(name)
    elif stat.S_ISREG(status.st_mode):
        if name == LIST:
            if not _is_ours(path):
                listing.left_out.append(
                    LeftOut(path=name, reason="its place is taken by the list of what is held back")
                )
            return
        listing.files[name] = status.st_size
    else:
        listing.left_out.append(LeftOut(path=name, reason="no ordinary file: a socket, a pipe or a device"))


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(64 << 20))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.get("made_by") == _MADE_BY


def check_places(source: Path, target: Path) -> None:
    """See that *target* may become a scrubbed copy of the folder *source*.

    Raises:
        FolderError: it may not, and why.
    """
    here, there = source.resolve(), target.resolve()
    if here == there or here.is_relative_to(there) or there.is_relative_to(here):
        raise FolderError(f"{target} and {source} must not lie in one another")
    if not target.exists() and not target.is_symlink():
        if not target.absolute().parent.is_dir():
            raise FolderError(f"{target.parent} is no directory; make it first")
        return
    if not target.is_dir():
        raise FolderError(f"{source} is a directory, so {target} must be one too, or not be there")
    if any(target.iterdir()) and not _is_ours(target / LIST):
        raise FolderError(f"{target} is not empty and was not made by mft scrub; give the name of a new directory")


def scrub_folder(source: Path, target: Path, task: Task) -> FolderResult:
    """Scrub every file of *source* as *task* says, into *target*, in as many processes as it says.

    Raises:
        FolderError: it must not go there.
        OSError: *target* cannot be written.
    """
    check_places(source, target)
    source = source.resolve()
    listing = list_folder(source)
    result = FolderResult(left_out=listing.left_out, failed=listing.unreadable)
    with _staged(target) as stage:
        for name in listing.directories:
            (stage / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        jobs = task.jobs
        share = max(LARGE, sum(listing.files.values()) // jobs)
        tasks = {
            name: replace(
                task,
                source=source / name,
                target=stage / name,
                name=name,
                jobs=jobs if listing.files[name] > share else 1,
            )
            for name in sorted(listing.files, key=lambda each: (-listing.files[each], each))
        }
        dictionary = learn_all(tasks, jobs=jobs)
        tasks = {name: replace(each, dictionary=dictionary, learning=False) for name, each in tasks.items()}
        found = _scrub_all(tasks, listing, result, jobs=jobs)
        result.results = dict(sorted(found.items()))
        _finish(source, stage, listing, result)
    return result


def learn_all(tasks: dict[str, Task], *, jobs: int) -> bytes:
    """Read all files once for the users, hosts and domains that they name; give one dictionary for all of them."""
    from scrubber.dictionary import Dictionary  # noqa: PLC0415  keeps `mft --help` quick

    dictionary = Dictionary()
    ordered = sorted(tasks)
    learned: dict[str, bytes] = {}
    if jobs == 1 or len(tasks) < 2:
        learned = {name: learn_file(tasks[name]) for name in ordered}
    else:
        context = multiprocessing.get_context("fork")
        counter = context.Value("Q", 0)
        large = [name for name in ordered if tasks[name].jobs > 1]
        for names, size in (*(([name], 1) for name in large), ([n for n in ordered if n not in large], jobs)):
            with (
                ProcessPoolExecutor(size, mp_context=context, initializer=_begin_worker, initargs=(counter,)) as pool,
                contextlib.suppress(BrokenProcessPool),  # the file that did it is held back by the pass that scrubs
            ):
                made = pool.map(learn_file, [tasks[name] for name in names], chunksize=8)
                learned.update(zip(names, made, strict=False))
    for name in ordered:
        dictionary.merge(Dictionary.from_bytes(learned.get(name, b"")))
    return dictionary.to_bytes()


def _scrub_all(tasks: dict[str, Task], listing: Listing, result: FolderResult, *, jobs: int) -> dict[str, Result]:
    bar = ProgressBar(sum(listing.files.values()))
    found: dict[str, Result] = {}

    def take(name: str, outcome: Result | LeftOut) -> None:
        if isinstance(outcome, LeftOut):
            result.failed.append(outcome)
        else:
            found[name] = outcome

    try:
        if jobs == 1 or len(tasks) < 2:
            done = 0
            for name, task in tasks.items():
                before = done
                take(name, attempt_file(task, lambda n, before=before, name=name: bar.show(before + n, name)))
                done = before + listing.files[name]
        else:
            _in_processes(tasks, min(jobs, len(tasks)), bar, take)
    finally:
        bar.clear()
    return found


def attempt_file(task: Task, progress: Any = None) -> Result | LeftOut:  # noqa: ANN401 - a callable or None
    """Scrub one file; a failure that is the file's own holds back that file alone."""
    from scrubber.errors import ScrubberError  # noqa: PLC0415  keeps `mft --help` quick

    try:
        return scrub_file(task, progress)
    except OSError as error:
        if error.filename is None or Path(os.fsdecode(error.filename)) != task.source:
            raise
        return LeftOut(path=task.name, reason=f"it could not be read: {error.strerror}")
    except ScrubberError as error:
        return LeftOut(path=task.name, reason=str(error))
    except MemoryError:
        return LeftOut(path=task.name, reason="scrubbing it needs more memory than there is")


_PROGRESS: Any = None
"""In a worker: the shared array of bytes read, one number for each worker's present file, and which is its own."""


def _begin_worker(counter: Any) -> None:  # noqa: ANN401 - a multiprocessing.Value
    from scrubber.crew import die_with_parent  # noqa: PLC0415  keeps `mft --help` quick

    global _PROGRESS  # noqa: PLW0603 - one for each worker process
    _PROGRESS = counter
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle


def _work(task: Task) -> Result | LeftOut:
    told = 0

    def progress(done: int) -> None:
        nonlocal told
        with _PROGRESS.get_lock():
            _PROGRESS.value += done - told
        told = done

    return attempt_file(task, progress)


def _in_processes(tasks: dict[str, Task], jobs: int, bar: ProgressBar, take: Any) -> None:  # noqa: ANN401
    from scrubber.engine import prepare  # noqa: PLC0415  keeps `mft --help` quick

    prepare()  # compiled once here, and inherited
    context = multiprocessing.get_context("fork")
    counter = context.Value("Q", 0)
    large = [name for name, task in tasks.items() if task.jobs > 1]
    rounds = [{name: tasks[name]} for name in large]
    rounds.append({name: task for name, task in tasks.items() if task.jobs == 1})
    lost: list[str] = []
    for some in filter(None, rounds):
        size = min(jobs, len(some))
        with ProcessPoolExecutor(size, mp_context=context, initializer=_begin_worker, initargs=(counter,)) as pool:
            futures = {pool.submit(_work, task): name for name, task in some.items()}
            try:
                _follow(futures, bar, counter, lost, take)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    for name in lost:
        take(name, _alone(tasks[name], context, counter))


def _follow(
    futures: dict[Future[Result | LeftOut], str],
    bar: ProgressBar,
    counter: Any,  # noqa: ANN401 - a multiprocessing.Value
    lost: list[str],
    take: Callable[[str, Result | LeftOut], None],
) -> None:
    left = set(futures)
    while left:
        done, left = wait(left, timeout=_TOLD_EVERY, return_when=FIRST_COMPLETED)
        for future in done:
            outcome = _outcome(future)
            if outcome is None:
                lost.append(futures[future])
            else:
                take(futures[future], outcome)
        bar.show(counter.value, f"{len(futures) - len(left):,} of {len(futures):,} files")


def _outcome(future: Future[Result | LeftOut]) -> Result | LeftOut | None:
    """Give what came of a file, or None where a process died, this one's or another's."""
    try:
        return future.result()
    except BrokenProcessPool:
        return None


def _alone(task: Task, context: Any, counter: Any) -> Result | LeftOut:  # noqa: ANN401 - of multiprocessing
    """Scrub in a process of its own a file that was under way or waiting when one died; a second death is its own."""
    with ProcessPoolExecutor(1, mp_context=context, initializer=_begin_worker, initargs=(counter,)) as pool:
        outcome = _outcome(pool.submit(_work, task))
    return outcome or LeftOut(path=task.name, reason="the scrubber's process died on it")


def _finish(source: Path, stage: Path, listing: Listing, result: FolderResult) -> None:
    """Make the links, give everything its mode and time, and write the list; what a dead process left goes."""
    written = [name for name, each in result.results.items() if each.report.scannable]
    expected = set(written)
    for path in list(stage.rglob("*")):
        if not path.is_dir() and path.relative_to(stage).as_posix() not in expected:
            path.unlink()
    for name, target in listing.links.items():
        (stage / name).symlink_to(target)
    for name in [*written, *reversed(listing.directories)]:
        with contextlib.suppress(FileNotFoundError):
            status = (source / name).stat()
            (stage / name).chmod(stat.S_IMODE(status.st_mode) & 0o777 | stat.S_IRUSR | stat.S_IWUSR)
            os.utime(stage / name, ns=(status.st_atime_ns, status.st_mtime_ns))
    document = {
        "made_by": _MADE_BY,
        "quarantined": result.quarantined,
        "left_out": [{"path": each.path, "reason": each.reason} for each in result.left_out],
    }
    with whole_file(stage / LIST) as file:
        file.write(json.dumps(document, indent=2, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n")


@contextlib.contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """Yield a new directory; what is in it takes *target*'s place when the block ends, and goes when it raises."""
    inside = target.is_dir()
    name = f".{target.name[:200]}.{secrets.token_hex(6)}.part"
    stage = target / name if inside else target.absolute().parent / name
    stage.mkdir(mode=0o700)
    try:
        yield stage
        if inside:
            _move_up(stage, target)
        else:
            stage.chmod(0o777 & ~_umask())
            stage.rename(target)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise


def _move_up(stage: Path, target: Path) -> None:
    """Put what *stage* holds in place of all else in *target*; the list comes last."""
    for old in list(target.iterdir()):
        if old == stage:
            continue
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
    for new in sorted(stage.iterdir(), key=lambda each: each.name == LIST):
        new.rename(target / new.name)
    stage.rmdir()


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
