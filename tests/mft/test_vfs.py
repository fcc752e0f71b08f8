"""The folders that sessions see: whose, what is in them, and what may be changed."""

from __future__ import annotations

import pytest

from casemap.names import safe_title
from mft.upload.place import make_node
from protocols.errors import (
    AlreadyExistsError,
    FileSystemError,
    InvalidNameError,
    IsADirectoryPathError,
    NoSpaceError,
    NotADirectoryPathError,
    NotFoundError,
    PermissionDeniedError,
    RejectedError,
    UnavailableError,
)
from protocols.filesystem import Changes, SetTimes, Space, TellsChanges, WritableFileSystem
from protocols.path import parse_path
from tests.casebook import TITLE
from tests.core import running_core

IN = "/ACME-1/to-support"
OUT = "/ACME-1/from-support"
SECRET = b"login ok\npassword=hunter2-tr0ub4dor\n"


def refusal(call, *arguments, **options):
    """Return the class and the text of what a call raises."""
    with pytest.raises(FileSystemError) as caught:
        call(*arguments, **options)
    return type(caught.value), str(caught.value)


def test_filesystem_is_what_the_heads_ask_for(core):
    """It has every optional interface that a head looks for."""
    filesystem = core.client("ann").filesystem
    assert isinstance(filesystem, WritableFileSystem)
    assert isinstance(filesystem, SetTimes)
    assert isinstance(filesystem, Space)
    assert isinstance(filesystem, TellsChanges)


@pytest.mark.parametrize(
    ("login", "path", "changes"),
    [
        ("ann", IN, Changes(rename=True, remove_directories=True)),
        ("ann", OUT, Changes()),
        ("ann", "/ACME-1", Changes()),
        ("ann", "/", Changes()),
        ("eve", IN, Changes()),
        ("eve", OUT, Changes(rename=True, remove_files=True, remove_directories=True)),
        ("eve", f"{OUT}/a.log", Changes(rename=True, remove_files=True, remove_directories=True)),
    ],
)
def test_what_may_be_changed_is_told_beforehand(core, login, path, changes):
    """As renaming and removing would find: customers take nothing back that was received, engineers what they left."""
    filesystem = core.client(login).filesystem
    assert filesystem.changes(parse_path(path)) == changes


# -- whose folders -----------------------------------------------------------------------------------------------------


def test_customer_sees_exactly_its_open_cases(core):
    """Number and title of each open case, and nothing of closed or foreign ones."""
    assert core.client("ann").names("/") == [
        "ACME-1 Cannot boot",
        "ACME-2 EU only",
        "ACME-3 Secret",
        f"ACME-5 {safe_title(TITLE)}",
    ]
    assert core.client("gus", "us").names("/") == ["GLOBEX-1 Theirs"]


def test_case_folder_has_its_three_zones(core):
    """Upload, download and .meta, under the number alone and under any title too."""
    client = core.client("ann")
    for folder in ("/ACME-1", "/ACME-1 Cannot boot", "/ACME-1 an older title", "/cases/ACME-1"):
        assert client.names(folder) == [".meta", "from-support", "to-support"]
    assert client.stat(IN).writable
    assert not client.stat(OUT).writable


def test_title_from_hell_is_a_folder_that_opens(core):
    """Slashes, controls and direction marks in a title leave a folder that can be listed and walked into."""
    client = core.client("ann")
    (folder,) = [name for name in client.names("/") if name.startswith("ACME-5")]
    assert not set(folder) & set("/\\\x07\u202e")
    client.put(f"/{folder}/to-support/x", b"x")
    assert client.names(f"/{folder}/to-support") == ["x"]


def test_engineer_sees_customers_and_their_cases(core):
    """Only what clearance and region allow, and no customer without such a case."""
    assert core.client("eve").names("/") == ["Acme Corp", "Globex _ Initech"]
    assert core.client("eve").names("/Acme Corp") == [
        "ACME-1 Cannot boot",
        "ACME-2 EU only",
        f"ACME-5 {safe_title(TITLE)}",
    ]
    assert "ACME-3 Secret" in core.client("max").names("/Acme Corp")
    assert core.client("una", "us").names("/Acme Corp") == ["ACME-1 Cannot boot", f"ACME-5 {safe_title(TITLE)}"]
    assert core.client("eve", "in").names("/") == []


def test_case_under_another_customers_folder_is_not_found(core):
    """A case shows in its own customer's folder alone."""
    client = core.client("eve")
    assert client.stat("/Acme Corp/ACME-1").is_directory
    assert refusal(client.stat, "/Globex _ Initech/ACME-1")[0] is NotFoundError


@pytest.mark.parametrize("verb", ["stat", "names", "get", "put", "mkdir", "remove"])
def test_foreign_closed_and_unknown_cases_cannot_be_told_apart(core, verb):
    """Another customer's case, a closed one and none at all give the same error with the same words."""
    client = core.client("ann")
    arguments = (b"x",) if verb == "put" else ()
    answers = {
        refusal(getattr(client, verb), path, *arguments)
        for number in ("GLOBEX-1", "ACME-9", "ACME-404", "no such", "ACME-1x", "..ACME")
        for path in (
            [f"/{number}", f"/{number}/to-support"] if verb in {"stat", "names"} else [f"/{number}/to-support/f"]
        )
    }
    assert len(answers) == 1
    assert next(iter(answers))[0] is NotFoundError


def test_denial_is_recorded_and_repeats_are_counted(core):
    """The first try of a case that is not one's own is written at once, the next ones as one record with a count."""
    client = core.client("ann")
    for _ in range(5):
        refusal(client.stat, "/GLOBEX-1")
    (event,) = core.events("access.denied")
    assert (event["login"], event["target"], event["why"]) == (
        "ann",
        "GLOBEX-1",
        "the case belongs to another customer",
    )
    core.parts.write_folded(everything=True)
    assert core.events("access.denied")[-1]["repeated"] == 4


def test_residency_hides_a_case_from_other_regions(core):
    """An EU-only case does not exist for a session that came in elsewhere; the record names the rule."""
    assert core.client("eve", "eu").stat("/ACME-2").is_directory
    assert refusal(core.client("eve", "us").stat, "/ACME-2") == (NotFoundError, "no such file or directory")
    assert core.events("access.denied")[0]["why"].startswith("residency.rules[0]")


def test_new_case_appears_and_closed_one_disappears(core):
    """What the case system opens or closes is so for the next call."""
    client = core.client("ann")
    core.system.put_case({"number": "ACME-6", "title": "New", "customer": "acme", "state": "open"})
    assert "ACME-6 New" in client.names("/")
    client.put("/ACME-6/to-support/x", b"x")
    core.system.change_case("ACME-6", {"state": "closed"})
    assert "ACME-6 New" not in client.names("/")
    assert refusal(client.stat, "/ACME-6/to-support/x")[0] is NotFoundError


def test_folder_resolves_under_its_old_title(core):
    """A client that remembers the old name of a folder still gets into it."""
    client = core.client("ann")
    client.put("/ACME-1 Cannot boot/to-support/x", b"x")
    core.system.change_case("ACME-1", {"title": "Boots, slowly"})
    assert "ACME-1 Boots, slowly" in client.names("/")
    assert client.names("/ACME-1 Cannot boot/to-support") == ["x"]


def test_drop_in_a_cases_root_is_a_deposit(core):
    """A file written beside the zones lands in the upload zone, and `stat` answers on the path used."""
    client = core.client("ann")
    client.put("/ACME-1/dropped.log", b"x")
    assert client.names(IN) == ["dropped.log"]
    assert client.stat("/ACME-1/dropped.log").size == 1


# -- who may write ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "path"),
    [
        ("ann", f"{OUT}/x"),
        ("ann", "/ACME-1/.meta/x"),
        ("eve", f"{IN}/x"),
        ("eve", "/ACME-1/.meta/x.status.json"),
        ("ann", "/ACME-1"),
        ("ann", IN),
        ("ann", "/"),
        ("eve", "/Acme Corp"),
    ],
)
def test_nobody_writes_where_only_others_may(core, login, path):
    """Customers do not write to the download side, engineers not to the upload side, nobody to .meta or to folders."""
    assert refusal(core.client(login).put, path, b"x")[0] is PermissionDeniedError


def test_engineers_file_reaches_the_customer_when_stored_and_unaltered(house):
    """What an engineer leaves is refused to nobody else's eyes before, and is the same bytes after."""
    house.client("eve").put(f"{OUT}/fix.txt", SECRET)
    assert house.client("ann").names(OUT) == []
    house.work()
    assert house.client("ann").names(OUT) == ["fix.txt"]
    assert house.client("ann").get(f"{OUT}/fix.txt") == SECRET


# -- the two views -----------------------------------------------------------------------------------------------------


def test_sender_sees_what_it_sent_and_others_nothing_before_it_is_stored(core):
    """Landed bytes are their sender's alone: not the colleague's, not the engineer's."""
    core.client("ann").put(f"{IN}/a.log", SECRET)
    ann = core.client("ann")
    assert ann.names(IN) == ["a.log"]
    assert ann.get(f"{IN}/a.log") == SECRET
    for login in ("bob", "eve"):
        assert core.client(login).names(IN) == []
        assert refusal(core.client(login).get, f"{IN}/a.log")[0] is NotFoundError


def test_engineer_reads_the_scrubbed_file_and_sender_keeps_its_own_size(house):
    """Once stored: scrubbed bytes for everybody, the sent size and name for the sender."""
    ann = house.client("ann")
    sent = ann.put(f"{IN}/a.log", SECRET)
    house.work()
    scrubbed = house.client("eve").get(f"{IN}/a.log")
    assert b"hunter2" not in scrubbed
    assert scrubbed.startswith(b"login ok\npassword=")
    assert house.client("eve").stat(f"{IN}/a.log").size == len(scrubbed)
    assert ann.stat(f"{IN}/a.log").size == len(SECRET)
    assert ann.get("/ACME-1/.meta/scrubbed/a.log") == scrubbed
    assert ann.stat("/ACME-1/.meta/scrubbed/a.log").size == len(scrubbed)
    assert house.client("bob").get(f"{IN}/a.log") == scrubbed
    status = ann.document("/ACME-1/.meta/a.log.status.json")
    assert (status["id"], status["state"], status["sent"]["size"]) == (sent.id, "partly redacted", len(SECRET))
    assert "sent" not in house.client("eve").document("/ACME-1/.meta/a.log.status.json")
    assert ann.document("/ACME-1/.meta/a.log.receipt.json")["kind"] == "final"
    report = house.client("eve").document("/ACME-1/.meta/a.log.report.json")
    assert report["findings_total"] == 1
    assert "hunter2" not in str(report)


def test_name_with_a_secret_is_shown_scrubbed_to_others(house):
    """The sender sees the name that it gave, everybody else a scrubbed one."""
    house.client("ann").put(f"{IN}/dump of jane.doe@example.com.txt", b"nothing\n")
    house.work()
    assert house.client("ann").names(IN) == ["dump of jane.doe@example.com.txt"]
    (shown,) = house.client("eve").names(IN)
    assert "jane" not in shown
    assert house.client("eve").get(f"{IN}/{shown}") == b"nothing\n"
    assert refusal(house.client("eve").stat, f"{IN}/dump of jane.doe@example.com.txt")[0] is NotFoundError


def test_listing_has_every_page(house):
    """A directory of more than one page comes whole and in order."""
    ann = house.client("ann")
    names = [f"{number:03}.txt" for number in range(300)]
    ann.mkdir(f"{IN}/000.txt")
    (case_id,) = {row.case_id for row in house.nodes()}
    (root,) = {row.parent_id for row in house.nodes() if row.name}
    with house.database.write() as connection:
        for name in names[1:]:
            make_node(
                connection,
                case_id=case_id,
                parent_id=root,
                name=name,
                owner="ann",
                is_directory=True,
            )
    assert ann.names(IN) == names


# -- partial uploads ---------------------------------------------------------------------------------------------------


def test_partial_upload_is_its_senders_alone(core):
    """An interrupted upload shows its sender one byte less than came, says that it is partial, and is nobody else's."""
    core.client("ann").cut(f"{IN}/big.bin", b"x" * 1000)
    entry = core.client("ann").stat(f"{IN}/big.bin")
    assert (entry.size, entry.partial) == (999, True)
    assert [entry.partial for entry in core.client("ann").filesystem.scandir(parse_path(IN))] == [True]
    assert refusal(core.client("ann").get, f"{IN}/big.bin")[0] is PermissionDeniedError
    for login in ("bob", "eve"):
        assert core.client(login).names(IN) == []
        assert refusal(core.client(login).stat, f"{IN}/big.bin")[0] is NotFoundError


def test_whole_file_is_not_partial(core):
    """A landed file says so."""
    core.client("ann").put(f"{IN}/a", b"x")
    assert not core.client("ann").stat(f"{IN}/a").partial


def test_partial_upload_can_be_given_up(core):
    """Its sender removes it; the name is free and the removal is recorded."""
    core.client("ann").cut(f"{IN}/big.bin", b"x" * 1000)
    core.client("ann").remove(f"{IN}/big.bin")
    assert core.client("ann").names(IN) == []
    assert core.states() == ["expired"]
    assert len(core.events("upload.discarded")) == 1


def test_listing_is_in_the_order_of_names(core):
    """Partial uploads stand where their names belong."""
    client = core.client("ann")
    client.put(f"{IN}/a", b"x")
    client.put(f"{IN}/c", b"x")
    client.cut(f"{IN}/b", b"xx")
    assert client.names(IN) == ["a", "b", "c"]


# -- names -------------------------------------------------------------------------------------------------------------


def test_directories_are_made_and_filled(house):
    """A tree goes up as it is, and the engineer sees it once something in it is stored."""
    ann = house.client("ann")
    ann.mkdir(f"{IN}/logs")
    ann.mkdir(f"{IN}/logs/today")
    ann.put(f"{IN}/logs/today/a", b"x")
    assert house.client("eve").names(IN) == []
    house.work()
    assert house.client("eve").names(IN) == ["logs"]
    assert house.client("eve").get(f"{IN}/logs/today/a") == b"x"
    assert house.client("ann").document("/ACME-1/.meta/logs/today/a.status.json")["state"] == "available"


def test_mkdir_refuses_what_is_there_and_what_has_no_parent(core):
    """No directory twice, none on a file, none without its parent."""
    client = core.client("ann")
    client.mkdir(f"{IN}/d")
    client.put(f"{IN}/f", b"x")
    assert refusal(client.mkdir, f"{IN}/d")[0] is AlreadyExistsError
    assert refusal(client.mkdir, f"{IN}/f")[0] is AlreadyExistsError
    assert refusal(client.mkdir, f"{IN}/none/d")[0] is NotFoundError
    assert refusal(client.mkdir, IN)[0] is AlreadyExistsError
    assert refusal(client.put, f"{IN}/f/below", b"x")[0] is NotFoundError
    assert refusal(client.put, f"{IN}/d", b"x")[0] in {PermissionDeniedError, AlreadyExistsError}


def test_rename_moves_a_file_in_any_state(house):
    """Before it is scrubbed and after, the name changes for everybody, and the bytes are not scrubbed again."""
    ann = house.client("ann")
    ann.put(f"{IN}/a.part", SECRET)
    ann.rename(f"{IN}/a.part", f"{IN}/a")
    assert ann.names(IN) == ["a"]
    house.work()
    assert house.client("eve").names(IN) == ["a"]
    ann.rename(f"{IN}/a", f"{IN}/b")
    house.work()
    assert house.client("eve").names(IN) == ["b"]
    assert len(house.rows()) == 1
    assert house.rows()[0].attempts == 1


def test_rename_of_a_partial_keeps_it_resumable(core):
    """An interrupted upload that is renamed goes on under its new name."""
    client = core.client("ann")
    client.cut(f"{IN}/a.part", b"x" * 1000)
    client.rename(f"{IN}/a.part", f"{IN}/a")
    core.client("ann").resume(f"{IN}/a", b"x" * 1000 + b"tail")
    assert core.client("ann").get(f"{IN}/a") == b"x" * 1000 + b"tail"


def test_rename_onto_a_file_makes_a_version_of_it(house):
    """With replacement the moved file is the newest version, and both histories stay; without, it is refused."""
    ann = house.client("ann")
    ann.put(f"{IN}/a", b"first")
    ann.put(f"{IN}/b", b"second")
    assert refusal(ann.rename, f"{IN}/b", f"{IN}/a")[0] is AlreadyExistsError
    house.work()
    ann.rename(f"{IN}/b", f"{IN}/a", replace=True)
    house.work()
    assert ann.names(IN) == ["a"]
    assert house.client("eve").get(f"{IN}/a") == b"second"
    assert sorted((row.node_id, row.version) for row in house.rows()) == [
        (house.rows()[0].node_id, 1),
        (house.rows()[0].node_id, 2),
    ]


def test_rename_stays_within_case_and_zone(core):
    """Between cases or zones it is refused, however the case is called in the path."""
    client = core.client("ann")
    client.put(f"{IN}/a", b"x")
    assert refusal(client.rename, f"{IN}/a", "/ACME-2/to-support/a")[0] is RejectedError
    assert refusal(client.rename, f"{IN}/a", f"{OUT}/a")[0] is PermissionDeniedError
    assert refusal(client.rename, f"{IN}/a", "/GLOBEX-1/to-support/a")[0] is NotFoundError
    client.rename(f"{IN}/a", "/cases/ACME-1/to-support/b")
    assert client.names(IN) == ["b"]


def test_rename_refuses_loops_and_folders_of_the_case_system(core):
    """A directory does not go into itself, and case folders stay as they are."""
    client = core.client("ann")
    client.mkdir(f"{IN}/d")
    client.mkdir(f"{IN}/d/e")
    assert refusal(client.rename, f"{IN}/d", f"{IN}/d/e/f")[0] is InvalidNameError
    assert refusal(client.rename, "/ACME-1", "/ACME-7")[0] in {PermissionDeniedError, NotFoundError}
    assert refusal(client.rename, IN, "/ACME-1/other")[0] is PermissionDeniedError


def test_nobody_renames_or_removes_what_a_colleague_sent(house):
    """What another login sent is seen once stored, and stays."""
    house.client("ann").put(f"{IN}/a", b"x")
    house.work()
    bob = house.client("bob")
    assert bob.names(IN) == ["a"]
    assert refusal(bob.rename, f"{IN}/a", f"{IN}/b")[0] is PermissionDeniedError
    assert refusal(bob.remove, f"{IN}/a")[0] is PermissionDeniedError


def test_colleagues_send_the_same_name_and_each_sees_its_own(house):
    """Two versions of one name: each sender sees its size, everybody else the newest."""
    house.client("ann").put(f"{IN}/a", b"one")
    house.client("bob").put(f"{IN}/a", b"three")
    house.work()
    assert house.client("ann").stat(f"{IN}/a").size == 3
    assert house.client("bob").stat(f"{IN}/a").size == 5
    assert house.client("eve").get(f"{IN}/a") == b"three"


def test_customer_cannot_take_back_what_was_received(core):
    """A whole file is kept; the refusal says whom to ask."""
    client = core.client("ann")
    client.put(f"{IN}/a", b"x")
    kind, text = refusal(client.remove, f"{IN}/a")
    assert kind is PermissionDeniedError
    assert "ask support" in text


def test_engineer_takes_back_what_it_left(house):
    """The name goes, the versions stay in the catalog, and the name may be used again."""
    eve = house.client("eve")
    eve.put(f"{OUT}/fix", b"bad")
    house.work()
    eve.remove(f"{OUT}/fix")
    assert house.client("ann").names(OUT) == []
    eve.put(f"{OUT}/fix", b"good")
    house.work()
    assert house.client("ann").get(f"{OUT}/fix") == b"good"
    assert [row.version for row in house.rows()] == [1, 2]


def test_directory_is_removed_by_its_maker_when_empty(core):
    """Neither a filled one, nor a colleague's, nor a file by the directory's verb."""
    ann = core.client("ann")
    ann.mkdir(f"{IN}/d")
    ann.put(f"{IN}/d/f", b"x")
    ann.mkdir(f"{IN}/e")
    assert refusal(ann.remove, f"{IN}/d", directory=True)[0] is PermissionDeniedError
    assert refusal(ann.remove, f"{IN}/d")[0] is IsADirectoryPathError
    assert refusal(ann.remove, f"{IN}/d/f", directory=True)[0] is NotADirectoryPathError
    assert refusal(core.client("bob").remove, f"{IN}/e", directory=True)[0] is PermissionDeniedError
    ann.remove(f"{IN}/e", directory=True)
    assert ann.names(IN) == ["d"]


def test_times_of_the_client_are_kept_beside(core):
    """`set_modified` shows in `stat` and decides nothing."""
    client = core.client("ann")
    client.put(f"{IN}/a", b"x")
    client.filesystem.set_modified(parse_path(f"{IN}/a"), 1_000_000_000.0)
    assert client.stat(f"{IN}/a").modified == 1_000_000_000.0
    assert core.rows()[0].landed_at > 1_700_000_000.0


def test_space_is_the_quotas_where_there_is_one(tmp_path):
    """Free room is what is left of the case's quota."""
    with running_core(tmp_path, limits={"case_quota": 1000}) as core:
        client = core.client("ann")
        client.put(f"{IN}/a", b"x" * 400)
        report = client.filesystem.space(parse_path(IN))
        assert (report.total, report.free) == (1000, 600)


@pytest.mark.parametrize("login", ["ann", "eve"])
def test_space_at_the_root_is_the_landing_zones(core, login):
    """A mount asks there, and a zero would keep a desktop from copying anything into it."""
    report = core.client(login).filesystem.space(parse_path("/"))
    assert 0 < report.free <= report.total


def test_reading_a_directory_and_listing_a_file_say_so(core):
    """Each kind of thing refuses the other's verbs."""
    client = core.client("ann")
    client.put(f"{IN}/a", b"x")
    client.mkdir(f"{IN}/d")
    assert refusal(client.get, IN)[0] is IsADirectoryPathError
    assert refusal(client.get, f"{IN}/d")[0] is IsADirectoryPathError
    assert refusal(client.names, f"{IN}/a")[0] is NotADirectoryPathError
    assert refusal(client.names, "/ACME-1/.meta/a.status.json")[0] is NotADirectoryPathError


def test_open_handles_end_with_the_right_to_them(house):
    """When a case is closed, a download that is under way ends and an upload takes nothing more."""
    house.client("ann").put(f"{IN}/a", b"x" * 1000)
    house.work()
    reading = house.client("eve").filesystem.open_read(parse_path(f"{IN}/a"))
    writing = house.client("ann").begin(f"{IN}/b")
    writing.write(0, b"begun")
    assert reading.read(0, 10) == b"x" * 10
    house.system.change_case("ACME-1", {"state": "closed"})
    house.parts.cases.recheck_all()
    with pytest.raises(NotFoundError):
        reading.read(10, 10)
    with pytest.raises(NotFoundError):
        writing.write(5, b"more")
    with pytest.raises(NotFoundError):
        writing.commit()
    reading.close()
    assert house.states() == ["stored", "interrupted"]


def test_litter_of_desktops_is_refused(core):
    """What Finder and Explorer leave behind never becomes a deposit."""
    for name in ("._a", ".DS_Store", "Thumbs.db", "desktop.ini", "~$a.docx"):
        assert refusal(core.client("ann").put, f"{IN}/{name}", b"x")[0] is RejectedError
    assert core.rows() == []


def test_memory_of_transfers_is_bounded_and_given_back(tmp_path):
    """With room for two, a third transfer is told to wait, and gets in once one has ended."""
    with running_core(tmp_path, limits={"transfer_memory": "4MiB"}) as core:
        client = core.client("ann")
        first, second = client.begin(f"{IN}/a"), client.begin(f"{IN}/b")
        assert refusal(client.begin, f"{IN}/c")[0] is UnavailableError
        first.abort("gone")
        first.abort("gone")
        client.put(f"{IN}/c", b"x")
        second.commit()
        assert refusal(client.begin, f"{IN}/d", length=2**62)[0] is NoSpaceError
        assert core.budget.free == 4 * 2**20
