"""Folder names and the layout: nothing escapes, nothing meets, everything finds back."""

import unicodedata

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from casemap.identifier import is_device_name
from casemap.layout import CUSTOMER_TREE, STAFF_TREE
from casemap.model import Case, CaseState, Customer, Role
from casemap.names import (
    CustomerFolders,
    case_number_of,
    customer_folder_name,
    customer_id_of,
    folded,
    folder_name,
    parsed_number,
    safe_title,
)
from casemap.resolver import (
    DEFAULT_LAYOUT,
    Branch,
    CaseRootTarget,
    FolderTarget,
    LayoutSettings,
    UnknownTarget,
    Zone,
    ZoneTarget,
    resolve,
)
from protocols.path import check_name, parse_path
from tests.contracts.lookup import HOSTILE_TITLE

unhurried = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
NASTY = st.sampled_from([
    "/", "\\", "..", ".", " ", "\0", "\n", "\u202e", "\u200b", "\ud800", "\ufeff", "\u2028", "\x85", "\u00a0", ":",
    "e\u0301", "\u0338", "<", ">", "\uff61", "\uff0f", "~", "é", "日", "😀", "CON", "con.", "(", ")", "(acme)",
    "CASE-1", "cases", "to-support", ".meta",
])  # fmt: skip
TITLES = st.lists(st.one_of(NASTY, st.text(alphabet=st.characters(), max_size=5)), max_size=80).map("".join)
IDS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,8}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda text: not is_device_name(text)
)
NUMBERS = IDS.map(lambda text: f"{text}-7")


def customers_folder(name, customer):
    """Return what the folder of a customer means to staff."""
    segment, inside = STAFF_TREE.root.group
    return FolderTarget(node=inside, under=(Branch(segment=segment, name=name, customer=customer),))


IN_ACME = customers_folder("Acme", "acme").under


def a_case(number, title):
    return Case(number=number, title=title, customer="acme", state=CaseState.OPEN)


@unhurried
@given(TITLES)
@example("../../etc/passwd")
@example(HOSTILE_TITLE)
@example("x" * 300)
@example("日" * 100)
@example("CON")
@example("aux.txt ")
@example("COM¹")
@example(". . .")
def test_safe_title_is_one_harmless_name(title):
    """Whatever a title holds, what is left is nothing or a name that every system can hold and none misreads."""
    safe = safe_title(title)
    assert len(safe.encode()) <= 255
    assert not set(safe) & set('/\\<>:"|?*')
    assert not any(unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for each in safe)
    assert safe == safe.strip(". ")
    assert "  " not in safe
    assert not is_device_name(safe)
    assert unicodedata.is_normalized("NFC", safe)
    assert safe_title(safe) == safe


@pytest.mark.parametrize(
    ("title", "safe"),
    [
        ("Cannot boot", "Cannot boot"),
        ("  a \t b\r\n", "a b"),
        ("a/b\\c:d", "a_b_c_d"),
        ("../../etc", "_.._etc"),
        ("...", ""),
        ("\u200b\u202e", ""),
        ("NUL", "_NUL"),
        ("com1.log", "_com1.log"),
        ("console", "console"),
        ("Größe 日本", "Größe 日本"),
        ("e\u0301", "é"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
    ],
)
def test_safe_title_keeps_what_it_can(title, safe):
    """People still recognise their title."""
    assert safe_title(title) == safe


@unhurried
@given(TITLES, st.integers(0, 40))
def test_safe_title_is_cut_on_a_character(title, most):
    """A cut title is a beginning of the whole one, or of that behind the mark of a device name."""
    cut = safe_title(title, max_bytes=most)
    assert len(cut.encode()) <= most
    assert safe_title(title).removeprefix("_").startswith(cut.removeprefix("_")) or is_device_name(
        cut.removeprefix("_")
    )


@unhurried
@given(NUMBERS, TITLES)
def test_folder_finds_back_to_its_case(number, title):
    """A folder's name is a valid name for the protocol heads, and resolves to its number."""
    folder = folder_name(a_case(number, title))
    assert check_name(folder) == folder
    assert parse_path(f"/{folder}").parts == (folder,)
    assert case_number_of(folder) == number
    assert resolve((folder,), Role.CUSTOMER) == CaseRootTarget(number=number)


@unhurried
@given(st.lists(st.tuples(NUMBERS, TITLES), unique_by=lambda pair: pair[0], max_size=20))
def test_folders_of_two_cases_are_never_one(cases):
    """Distinct numbers make distinct folders, whatever the titles."""
    assert len({folder_name(a_case(*case)) for case in cases}) == len(cases)


def test_folder_without_a_title_is_the_number():
    """Nothing dangles behind the number."""
    assert folder_name(a_case("CASE-1001", "\u200b..\n")) == "CASE-1001"
    assert folder_name(a_case("CASE-1001", "")) == "CASE-1001"


@pytest.mark.parametrize("folder", ["CASE-1001", "CASE-1001 Cannot boot", "CASE-1001 an older title", "CASE-1001 "])
def test_folder_resolves_under_any_title(folder):
    """A renamed case keeps resolving under its old name."""
    assert case_number_of(folder) == "CASE-1001"


@pytest.mark.parametrize("folder", ["", " ", "Cannot boot", "notes.txt", "..", "CASE", "-1", " CASE-1001", "٣"])
def test_folder_that_begins_with_no_number_is_none(folder):
    """What has no case number is not guessed at."""
    assert case_number_of(folder) is None


CUSTOMERS = st.lists(
    st.builds(
        lambda id_, name: Customer(id=id_, name=name),
        IDS,
        st.one_of(
            TITLES,
            st.sampled_from(
                ["Acme", "ACME", "Acme.", "\uff21cme", "Acme (b)", "b", "CASE-1 x", "cases", "", "x" * 300]
            ),
        ),
    ),
    unique_by=lambda customer: customer.id,
    max_size=12,
)


@unhurried
@given(CUSTOMERS, st.randoms(use_true_random=False))
def test_customers_folders_are_distinct_and_find_back(customers, random):
    """Each customer has a folder of its own, a valid one, the same in any order of the list, which finds back to it."""
    folders = CustomerFolders(customers, reserved=DEFAULT_LAYOUT.reserved)
    names = {customer.id: folders.name_of(customer.id) for customer in customers}
    assert len(set(names.values())) == len(customers)
    for customer, name in names.items():
        assert check_name(name) == name
        assert parse_path(f"/{name}").parts == (name,)
        assert folders.customer_of(name) == customer
        assert resolve((name,), Role.ENGINEER, customer_of=folders.customer_of) == customers_folder(name, customer)
    shuffled = list(customers)
    random.shuffle(shuffled)
    again = CustomerFolders(shuffled, reserved=DEFAULT_LAYOUT.reserved)
    assert {each: again.name_of(each) for each in names} == names


def test_customers_of_one_name_stay_apart():
    """Two companies of one name, or of names that look alike, both show their id; the others do not."""
    names = [
        ("a", "Acme"),
        ("b", "ACME "),
        ("c", "Acme/"),
        ("d", "Bolt"),
        ("e", "Bolt (a)"),
        ("f", "Cases"),
        ("g", "\u200b"),
    ]
    folders = CustomerFolders([Customer(id=each, name=name) for each, name in names], reserved=DEFAULT_LAYOUT.reserved)
    assert [folders.name_of(each) for each, _ in names] == [
        "Acme (a)",
        "ACME (b)",
        "Acme_",
        "Bolt",
        "Bolt (a) (e)",
        "Cases (f)",
        "(g)",
    ]


def test_customer_is_found_by_its_id_under_an_old_name():
    """A bookmark with the id in it survives a change of name; one with an unknown id does not."""
    folders = CustomerFolders([Customer(id="acme", name="Acme")])
    assert folders.customer_of("Former Name (acme)") == "acme"
    assert folders.customer_of("Former Name (other)") is None
    assert folders.customer_of("acme") is None
    assert folders.name_of("other") is None
    assert customer_id_of("Acme (..)") is None


def test_customer_gets_its_id_only_where_needed():
    """The names that others have decide."""
    acme = Customer(id="acme", name="Acme")
    assert customer_folder_name(acme) == "Acme"
    assert customer_folder_name(acme, {folded("ACME")}) == "Acme (acme)"
    assert len(customer_folder_name(Customer(id="acme", name="x" * 300), {"x" * 255}).encode()) == 255


def only_acme(folder):
    return "acme" if folder == "Acme" else None


UPLOAD, DOWNLOAD, META = Zone.UPLOAD, Zone.DOWNLOAD, Zone.META
N = "CASE-1001"
ALL_CASES = FolderTarget(node=CUSTOMER_TREE.root)
CUSTOMERS = FolderTarget(node=STAFF_TREE.root)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/", ALL_CASES),
        ("/cases", ALL_CASES),
        ("/CASE-1001 Boot", CaseRootTarget(number=N)),
        ("/CASE-1001/to-support", ZoneTarget(number=N, zone=UPLOAD)),
        ("/CASE-1001/to-support/a/b", ZoneTarget(number=N, zone=UPLOAD, rest=("a", "b"))),
        ("/CASE-1001/from-support/a", ZoneTarget(number=N, zone=DOWNLOAD, rest=("a",))),
        ("/CASE-1001/.meta/a.status.json", ZoneTarget(number=N, zone=META, rest=("a.status.json",))),
        ("/CASE-1001/log.txt", ZoneTarget(number=N, zone=UPLOAD, rest=("log.txt",), alias=True)),
        ("/CASE-1001/dir/log.txt", ZoneTarget(number=N, zone=UPLOAD, rest=("dir", "log.txt"), alias=True)),
        ("/CASE-1001/To-Support", ZoneTarget(number=N, zone=UPLOAD, rest=("To-Support",), alias=True)),
        ("/CASE-1001/to-support/.meta", ZoneTarget(number=N, zone=UPLOAD, rest=(".meta",))),
        ("/cases/CASE-1001", CaseRootTarget(number=N)),
        ("/cases/CASE-1001/log.txt", ZoneTarget(number=N, zone=UPLOAD, rest=("log.txt",), alias=True)),
        ("/cases/CASE-1001/.meta", ZoneTarget(number=N, zone=META)),
        ("/cases/Acme", UnknownTarget(parts=("cases", "Acme"))),
        ("/Acme", UnknownTarget(parts=("Acme",))),
        ("/Acme/CASE-1001", UnknownTarget(parts=("Acme", "CASE-1001"))),
        ("/log.txt", UnknownTarget(parts=("log.txt",))),
        ("/to-support", UnknownTarget(parts=("to-support",))),
        ("/.meta", UnknownTarget(parts=(".meta",))),
        ("/../..//CASE-1001/./to-support/../.meta", ZoneTarget(number=N, zone=META)),
    ],
)
def test_customers_tree(path, target):
    """What each path means to a customer; a customer's name in it means nothing."""
    assert resolve(parse_path(path).parts, Role.CUSTOMER, customer_of=only_acme) == target


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.RELEASER, Role.OPERATOR, Role.AUDITOR])
@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/", CUSTOMERS),
        ("/cases", ALL_CASES),
        ("/Acme", customers_folder("Acme", "acme")),
        ("/Acme/CASE-1001 Boot", CaseRootTarget(number=N, under=IN_ACME)),
        ("/Acme/CASE-1001/from-support", ZoneTarget(number=N, zone=DOWNLOAD, under=IN_ACME)),
        ("/Acme/CASE-1001/x", ZoneTarget(number=N, zone=UPLOAD, rest=("x",), under=IN_ACME, alias=True)),
        ("/Acme/log.txt", UnknownTarget(parts=("Acme", "log.txt"))),
        ("/Acme/cases", UnknownTarget(parts=("Acme", "cases"))),
        ("/CASE-1001 Boot", CaseRootTarget(number=N)),
        ("/CASE-1001/.meta", ZoneTarget(number=N, zone=META)),
        ("/cases/CASE-1001/.meta", ZoneTarget(number=N, zone=META)),
        ("/Other", UnknownTarget(parts=("Other",))),
    ],
)
def test_staffs_tree(role, path, target):
    """What each path means to staff."""
    assert resolve(parse_path(path).parts, role, customer_of=only_acme) == target


@unhurried
@given(st.lists(st.one_of(NASTY, TITLES, st.sampled_from(["CASE-1", "Acme", "cases", ".meta"])), max_size=6))
def test_nothing_resolves_to_a_path_that_climbs(parts):
    """Parts that no protocol head lets through lead nowhere; what is inside a zone is what was given."""
    for role in (Role.CUSTOMER, Role.ENGINEER):
        target = resolve(tuple(parts), role, customer_of=only_acme)
        if any(part in {"", ".", ".."} or "/" in part or "\0" in part for part in parts):
            assert target == UnknownTarget(parts=tuple(parts))
        if isinstance(target, ZoneTarget):
            assert target.rest == tuple(parts)[len(parts) - len(target.rest) :]
        if isinstance(target, (ZoneTarget, CaseRootTarget)):
            assert parsed_number(target.number) == target.number


def test_layout_can_be_named_otherwise():
    """The names are settings, and the old ones mean nothing then."""
    layout = LayoutSettings(upload="an uns", download="von uns", meta=".info", index="faelle")
    assert resolve(("CASE-1001", "von uns"), Role.CUSTOMER, layout=layout) == ZoneTarget(number=N, zone=DOWNLOAD)
    assert resolve(("CASE-1001", ".meta"), Role.CUSTOMER, layout=layout).alias
    assert resolve(("faelle", "CASE-1001"), Role.CUSTOMER, layout=layout) == CaseRootTarget(number=N)
    assert {layout.zone_of(layout.name_of(zone)) for zone in Zone} == set(Zone)


@pytest.mark.parametrize(
    "changes",
    [
        {"upload": ""},
        {"upload": ".."},
        {"upload": "a/b"},
        {"upload": "a\\b"},
        {"upload": "a\0"},
        {"upload": "CON"},
        {"upload": " a"},
        {"upload": "from-support"},
        {"upload": "FROM-support"},
        {"meta": "to-support"},
        {"index": "CASE-1"},
        {"index": "7 up"},
    ],
)
def test_layout_that_cannot_work_is_refused(changes):
    """Names that are unsafe or meet are an error at the start."""
    with pytest.raises(ValueError, match=r"cannot be|could be|different"):
        LayoutSettings(**changes)
