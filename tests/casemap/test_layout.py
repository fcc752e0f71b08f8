"""Templates of folders and the trees made of them: what is refused, and that nothing escapes or is lost."""

import itertools
import unicodedata

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from casemap.identifier import is_device_name
from casemap.layout import DirectorySet, FolderRule, FolderTree, LayoutError, LayoutSettings, Zone
from casemap.model import Case, CaseState, Role
from casemap.names import MAX_NAME_BYTES, folded, folder_name
from casemap.resolver import CaseRootTarget, FolderTarget, UnknownTarget, ZoneTarget, resolve
from casemap.template import FIELDS, TemplateError, parse_template
from protocols.path import check_name, parse_path
from tests.casemap.test_resolver import NUMBERS, TITLES

unhurried = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
ZONES = {"to-support": Zone.UPLOAD, "from-support": Zone.DOWNLOAD, ".meta": Zone.META}
FORMS = [
    "{case.number} {case.title}",
    "{case.number}",
    "{case.number} - {case.title} ({case.state})",
    "Case {case.number} {case.title}",
    "({case.number}) {case.title}",
    "{case.number} {case.kind} {case.title} {customer.name}",
]
GROUPS = ["{case.kind}", "{case.classification}", "{case.kind} {customer.name}", "p{case.priority}", "{customer.id}"]


def rendered(text, **values):
    """Return the folders of the case of *values* by a template."""
    template = parse_template(text)
    known = {name.replace("_", ".", 1): value for name, value in values.items()}
    return [segment.render(known.get) for segment in (*template.groups, template.case)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "begins with a slash"),
        ("{case.number}", "begins with a slash"),
        ("/", "empty folder name"),
        ("//{case.number}", "empty folder name"),
        ("/cases", "{case.number}"),
        ("/{case.title}", "{case.number}"),
        ("/{case.number}/{case.number}", "{case.number}"),
        ("/{case.number} {case.number}", "{case.number} once"),
        ("/{case.title} {case.number}", "before {case.number}"),
        ("/{case.number}{case.title}", "right behind"),
        ("/{case.number}-{case.title}", "right behind"),
        ("/{case.number}.d", "right behind"),
        ("/{case.nummer}", "knows no {case.nummer}"),
        ("/{}/{case.number}", "knows no {}"),
        ("/{case.number", "braces"),
        ("/case.number}", "braces"),
        ("/{{case.number}}", "braces"),
        ("/x/{case.title}/{case.number}", "{case.title} only"),
        ("/{case.state}/{case.number}", "below a fixed name"),
        ("/{case.state} cases/{case.number}", "below a fixed name"),
        ("/2024 cases/{case.number}", "could be a case's number"),
        ("/../{case.number}", "not every system"),
        ("/x/./{case.number}", "clients would hide"),
        ("/x\\y/{case.number}", "not every system"),
        ("/x\0/{case.number}", "not every system"),
        ("/x\u202ey/{case.number}", "not every system"),
        ("/CON/{case.number}", "not every system"),
        ("/x /{case.number}", "not every system"),
        ("/.hidden/{case.number}", "clients would hide"),
        ("/{case.number}/{case.state}", "one directory"),
        ("/{case.number}/to-support/logs", "one directory"),
        ("/" + "x" * 65 + "/{case.number}", "at most 64 bytes"),
        ("/a" * 12 + "/{case.number}", "at most 12"),
        ("/{case.number} " + "x" * 2000, "at most 1024"),
    ],
)
def test_template_that_cannot_work_is_refused(text, reason):
    """Each says what would be right, not only that it is wrong."""
    with pytest.raises(TemplateError) as caught:
        parse_template(text)
    assert reason in str(caught.value)


def test_unknown_field_is_told_which_there_are():
    """Nobody has to look them up."""
    with pytest.raises(TemplateError) as caught:
        parse_template("/{case.owner}/{case.number}")
    assert all(f"{{{name}}}" in str(caught.value) for name in FIELDS)


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        (["/x/{case.state}/{case.number}", "/x/{case.kind}/{case.number}"], "where another template has {case.state}"),
        (["/x/{case.state}/{case.number}", "/x/open/{case.number}"], "beside {case.state}"),
        (["/x/open/{case.number}", "/x/{case.state}/{case.number}"], "beside {case.state}"),
        (["/x/{case.state}/{case.number}", "/x/{case.number}"], "beside {case.state}"),
        (["/x/{case.number}", "/x/{case.number} {case.title}"], "other names"),
        (["/{customer.name}/{case.number}", "/Case {case.number}"], "begin with {case.number}"),
        (["/Case {case.number}", "/Case 7/{case.number}"], "could be one of them"),
        (["/x/{case.number}", "/x/7 up/{case.number}"], "could be one of them"),
        (["/x/{case.number}", "/x/7/{case.number}"], "could be one of them"),
        (["/{case.number}/elsewhere"], "only to-support, from-support, .meta"),
        (["/{case.number}", "/nothing"], "{case.number}"),
    ],
)
def test_templates_that_hide_one_another_are_refused(paths, reason):
    """A name in a directory has one meaning; the error names the template at fault."""
    with pytest.raises(LayoutError) as caught:
        FolderTree(paths, zones=ZONES)
    assert reason in str(caught.value)
    assert caught.value.template == paths[caught.value.index]


@unhurried
@given(st.sampled_from(FORMS), NUMBERS, TITLES, TITLES, TITLES)
@example("{case.number} {case.title}", "CASE-7", "../../etc/passwd", "", "")
@example("Case {case.number} {case.title}", "CASE-7", "日" * 300, "日" * 64, "x" * 4000)
@example("{case.number} - {case.title} ({case.state})", "COM1-7", "\u0338\u0301", "", "")
def test_case_folder_is_one_safe_name_that_leads_back(form, number, title, kind, customer):
    """Whatever people typed, the folder is one component for every system, and is found by its number."""
    [name] = rendered(
        f"/{form}", case_number=number, case_title=title, case_state="open", case_kind=kind, customer_name=customer
    )
    assert check_name(name) == name
    assert parse_path(f"/x/{name}").parts == ("x", name)
    assert 0 < len(name.encode()) <= MAX_NAME_BYTES
    assert not set(name) & set('/\\<>:"|?*')
    assert name == name.strip(". ")
    assert not is_device_name(name)
    assert unicodedata.is_normalized("NFC", name)
    assert parse_template(f"/{form}").case.number_in(name) == number
    tree = LayoutSettings(rules=(FolderRule(tree=FolderTree([f"/by-x/{form}"])),))
    assert resolve(("by-x", name), Role.CUSTOMER, layout=tree) == CaseRootTarget(number=number)
    assert resolve(("by-x", name.upper()), Role.CUSTOMER, layout=tree).number.casefold() == number.casefold()


@unhurried
@given(st.sampled_from(GROUPS), TITLES, TITLES)
def test_group_folder_is_one_safe_name(form, kind, customer):
    """A folder that is named after something of its cases cannot climb, hide or be empty either."""
    [top, name, _] = rendered(
        f"/by/{form}/{{case.number}}",
        case_number="CASE-7",
        case_kind=kind,
        case_classification=kind,
        case_priority="3",
        customer_id="acme",
        customer_name=customer,
    )
    assert top == "by"
    assert check_name(name) == name
    assert 0 < len(name.encode()) <= MAX_NAME_BYTES
    assert name not in {".", ".."}
    assert name == name.strip(". ")
    assert not is_device_name(name)


@unhurried
@given(NUMBERS, TITLES)
def test_built_in_layout_names_folders_as_ever(number, title):
    """The default template gives, byte for byte, what `folder_name` gives."""
    case = Case(number=number, title=title, customer="acme", state=CaseState.OPEN)
    assert rendered("/{case.number} {case.title}", case_number=number, case_title=title) == [folder_name(case)]


@unhurried
@given(
    st.sampled_from(FORMS), st.lists(st.tuples(NUMBERS, TITLES), max_size=15, unique_by=lambda each: folded(each[0]))
)
def test_folders_of_different_cases_differ_for_everybody(form, cases):
    """Also for clients to which letter case, width and normal form are nothing."""
    names = [
        rendered(f"/{form}", case_number=number, case_title=title, case_state="open", customer_name="A", case_kind="k")
        for number, title in cases
    ]
    assert len({folded(name) for [name] in names}) == len(cases)


def test_names_that_are_too_long_lose_free_text_and_no_number():
    """Titles and customers' names share what room there is; ids and numbers stay whole."""
    [name] = rendered(
        "/{case.number} {case.title} - {customer.name} {customer.id}",
        case_number="CASE-1001",
        case_title="é" * 500,
        customer_name="日" * 500,
        customer_id="acme",
    )
    assert name.startswith("CASE-1001 éé")
    assert name.endswith("日 acme")
    assert 240 < len(name.encode()) <= MAX_NAME_BYTES


def test_what_a_case_does_not_have_is_none():
    """A case without a kind stands in a folder all the same."""
    assert rendered("/by-kind/{case.kind}/{case.number}", case_number="C-1") == ["by-kind", "none", "C-1"]


LAYOUT = LayoutSettings(
    rules=(
        FolderRule(
            tree=FolderTree(
                [
                    "/{case.number} {case.title}",
                    "/by-status/{case.state}/{case.number}",
                    "/drop/{case.number}/to-support",
                    "/by-customer/{customer.name}/{case.number} {case.title}",
                    "/cases/late/{case.number}",
                ],
                mine=["/my-cases/{case.number}"],
                zones=ZONES,
            ),
            role=Role.ENGINEER,
        ),
    )
)


def meaning(path, role=Role.ENGINEER, **more):
    return resolve(parse_path(path).parts, role, layout=LAYOUT, customer_of={"Acme": "acme"}.get, **more)


@pytest.mark.parametrize(
    "path",
    [
        "/C-1 Title",
        "/by-status/open/C-1",
        "/BY-Status/OPEN/C-1",
        "/by-customer/Acme/C-1 Another title",
        "/my-cases/C-1",
        "/cases/C-1",
        "/cases/late/C-1",
        "/drop/C-1",
    ],
)
def test_one_case_is_the_same_in_every_folder(path):
    """The number decides; the way is only checked."""
    target = meaning(path)
    assert isinstance(target, CaseRootTarget)
    assert target.number == "C-1"
    inside = meaning(f"{path}/to-support/log")
    assert isinstance(inside, ZoneTarget)
    assert (inside.number, inside.zone, inside.rest) == ("C-1", Zone.UPLOAD, ("log",))


@pytest.mark.parametrize("path", ["/by-customer", "/by-customer/Acme", "/by-status/open", "/my-cases", "/", "/cases"])
def test_folders_above_the_cases_are_directories(path):
    """Each is a place of its own."""
    assert isinstance(meaning(path), FolderTarget)


@pytest.mark.parametrize(
    "path", ["/by-customer/Other", "/by-customer/Other/C-1", "/elsewhere", "/my-cases/x", "/drop/x"]
)
def test_what_no_template_has_is_nothing(path):
    """It is not guessed at."""
    assert isinstance(meaning(path), UnknownTarget)


def test_template_that_names_a_directory_shows_that_one():
    """And `.meta`, where the receipts are."""
    assert meaning("/drop/C-1/.meta").zone is Zone.META
    assert meaning("/drop/C-1/from-support/x").alias
    assert meaning("/drop/C-1/from-support/x").rest == ("from-support", "x")


def test_layout_is_for_those_it_matches():
    """Others have the built-in one."""
    assert isinstance(meaning("/by-status/open/C-1", Role.CUSTOMER), UnknownTarget)
    rule = FolderRule(tree=FolderTree(["/x/{case.number}"]), role=Role.CUSTOMER, customer="ac*")
    assert [
        rule.fits(*each) for each in itertools.product((Role.CUSTOMER, Role.ENGINEER), ("acme", "globex", None))
    ] == [
        True,
        False,
        False,
        False,
        False,
        False,
    ]


def test_directories_go_by_the_kind_of_case():
    """A set names them, or leaves one out."""
    layout = LayoutSettings(
        sets=(
            DirectorySet(kind="rma*", upload="photos", download="labels"),
            DirectorySet(kind="notice", upload=None, download="from-support"),
        )
    )
    cases = {
        "C-1": Case(number="C-1", title="", customer="a", state=CaseState.OPEN, kind="rma-eu"),
        "C-2": Case(number="C-2", title="", customer="a", state=CaseState.OPEN, kind="notice"),
        "C-3": Case(number="C-3", title="", customer="a", state=CaseState.OPEN),
    }

    def at(path):
        return resolve(
            parse_path(path).parts, Role.CUSTOMER, layout=layout, zones_of=lambda number: layout.zones_of(cases[number])
        )

    assert (at("/C-1/photos/x").zone, at("/C-1/photos/x").alias) == (Zone.UPLOAD, False)
    assert at("/C-1/labels").zone is Zone.DOWNLOAD
    assert at("/C-1/to-support/x").alias
    assert at("/C-3/to-support/x").rest == ("x",)
    assert isinstance(at("/C-2/to-support/x"), UnknownTarget)
    assert at("/C-2/from-support").zone is Zone.DOWNLOAD
