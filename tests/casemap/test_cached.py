"""The cache: how old an answer may be, who asks, what is hidden and what is not."""

import threading

import pytest

from casemap.breaker import Breaker
from casemap.cached import CachedLookup, CacheSettings
from casemap.errors import (
    LookupAnswerError,
    LookupUnavailableError,
    PrincipalNotFoundError,
    RecordNotFoundError,
)
from casemap.static import StaticLookup
from tests.contracts.lookup import TABLE

TTL, NEGATIVE, STALE = 10.0, 5.0, 20.0
SETTINGS = CacheSettings(
    ttl=TTL,
    negative_ttl=NEGATIVE,
    stale_if_error=STALE,
    revocation_bound=TTL + STALE,
    breaker_failures=3,
    breaker_rest=4.0,
    capacity=100,
)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Source:
    """A case system in memory that counts questions, fails on request, and can be held up."""

    def __init__(self):
        self.change(TABLE)
        self.asked = []
        self.error = None
        self.during = lambda: None

    def change(self, table):
        self._lookup = StaticLookup(table)

    def _ask(self, method, *args, **kwargs):
        self.asked.append((method, *args))
        lookup, error = self._lookup, self.error
        self.during()
        if error is not None:
            raise error
        return getattr(lookup, method)(*args, **kwargs)

    def principal(self, login):
        return self._ask("principal", login)

    def case(self, number):
        return self._ask("case", number)

    def customer(self, customer):
        return self._ask("customer", customer)

    def cases(self, customer, **kwargs):
        return self._ask("cases", customer, **kwargs)

    def customers(self, **kwargs):
        return self._ask("customers", **kwargs)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def cached(source, clock):
    return CachedLookup(source, SETTINGS, clock=clock)


def without(name, key, value):
    """Return the table without the rows of list *name* whose *key* is *value*."""
    return {**TABLE, name: [row for row in TABLE[name] if row[key] != value]}


@pytest.mark.parametrize(
    "ask",
    [
        lambda lookup: lookup.principal("erin"),
        lambda lookup: lookup.case("CASE-1001"),
        lambda lookup: lookup.customer("acme"),
        lambda lookup: lookup.cases("acme"),
        lambda lookup: lookup.customers(),
    ],
)
def test_answer_is_believed_for_its_time(cached, source, clock, ask):
    """One question within the time to live; another when it is over."""
    ask(cached)
    clock.now += TTL - 0.1
    ask(cached)
    assert len(source.asked) == 1
    clock.now += 0.1
    ask(cached)
    assert len(source.asked) == 2


def test_lists_are_told_apart(cached, source):
    """Another customer, state, place or size is another question."""
    first = cached.cases("c-00", limit=5)
    cached.cases("c-00", limit=6)
    cached.cases("c-00", limit=5, cursor=first.next_cursor)
    cached.cases("c-00", limit=5, state=None)
    cached.cases("c-01", limit=5)
    cached.cases(None, limit=5)
    assert len(source.asked) == 6


def test_absence_is_believed_for_its_own_time(cached, source, clock):
    """A login that did not exist may exist seconds later."""
    for _ in range(3):
        with pytest.raises(PrincipalNotFoundError):
            cached.principal("new")
    assert len(source.asked) == 1
    source.change({**TABLE, "principals": [*TABLE["principals"], {"login": "new", "roles": ["auditor"]}]})
    clock.now += NEGATIVE
    assert cached.principal("new").login == "new"


def test_removal_is_seen_when_the_answer_is_old(cached, source, clock):
    """What is gone is gone, also when it was known; nothing stale is given for a plain no."""
    cached.principal("erin")
    source.change(without("principals", "login", "erin"))
    clock.now += TTL
    with pytest.raises(PrincipalNotFoundError):
        cached.principal("erin")
    source.error = LookupUnavailableError("down")
    clock.now += NEGATIVE
    with pytest.raises(LookupUnavailableError):
        cached.principal("erin")


def test_silence_is_bridged_for_a_bounded_time(cached, source, clock):
    """While nobody answers the old answer holds, and not a moment longer than the bound."""
    cached.principal("erin")
    source.error = LookupUnavailableError("down")
    clock.now += TTL + STALE - 0.1
    assert cached.principal("erin").login == "erin"
    clock.now += 0.1
    with pytest.raises(LookupUnavailableError):
        cached.principal("erin")
    assert cached.tallies()["principal"]["stale"] == 1


def test_age_counts_from_the_question(cached, source, clock):
    """An answer that took long is old when it arrives."""
    source.during = lambda: setattr(clock, "now", clock.now + TTL)
    cached.principal("erin")
    cached.principal("erin")
    assert len(source.asked) == 2


def test_nonsense_is_not_papered_over(cached, source, clock):
    """An answer that breaks the contract fails, and the old answer is not used again even if silence follows."""
    cached.principal("erin")
    clock.now += TTL
    source.error = LookupAnswerError("nonsense")
    with pytest.raises(LookupAnswerError):
        cached.principal("erin")
    source.error = LookupUnavailableError("down")
    with pytest.raises(LookupUnavailableError):
        cached.principal("erin")


def test_bug_in_a_lookup_is_not_hidden(cached, source):
    """An exception that is none of ours comes through, and the next call asks again."""
    source.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        cached.principal("erin")
    source.error = None
    assert cached.principal("erin").login == "erin"


def test_breaker_stops_asking_and_tries_again(cached, source, clock):
    """After a few silences in a row nobody asks for a while; one try ends it."""
    source.error = LookupUnavailableError("down")
    for login in "abcdef":
        with pytest.raises(LookupUnavailableError) as caught:
            cached.principal(login)
    assert len(source.asked) == 3
    assert cached.is_cut_off
    assert 0 < caught.value.retry_after <= 4.0
    clock.now += 4.0
    with pytest.raises(LookupUnavailableError):
        cached.principal("g")
    with pytest.raises(LookupUnavailableError):
        cached.principal("h")
    assert len(source.asked) == 4
    clock.now += 4.0
    source.error = None
    assert cached.principal("erin").login == "erin"
    assert not cached.is_cut_off


def test_guessing_and_nonsense_do_not_open_the_breaker(cached, source):
    """Neither unknown logins nor one broken record cut everyone off."""
    for n in range(10):
        with pytest.raises(RecordNotFoundError):
            cached.principal(f"guess-{n}")
    source.error = LookupAnswerError("nonsense")
    for _ in range(10):
        with pytest.raises(LookupAnswerError):
            cached.principal("erin")
    assert not cached.is_cut_off


def test_breaker_lets_one_through_at_a_time(clock):
    """While one call tries a system that was down, the others are refused at once."""
    breaker = Breaker(failures=1, rest=1.0, clock=clock)

    def fail():
        raise LookupUnavailableError("down")

    def try_while_another_tries():
        with pytest.raises(LookupUnavailableError, match="lately"):
            breaker.call(lambda: "second")
        return "first"

    with pytest.raises(LookupUnavailableError):
        breaker.call(fail)
    clock.now += 1.0
    assert breaker.call(try_while_another_tries) == "first"
    assert breaker.call(lambda: "second") == "second"


def test_breaker_survives_a_bug_in_its_trial(clock):
    """A trial that ends in an exception of another kind does not keep the place for ever."""
    breaker = Breaker(failures=1, rest=1.0, clock=clock)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            breaker.call(lambda: 1 / 0)
        clock.now += 1.0
    assert breaker.call(lambda: "good") == "good"


def test_many_threads_ask_once(cached, source):
    """Callers who want the same at the same time share one question."""
    entered, go = threading.Event(), threading.Event()

    def hold():
        entered.set()
        go.wait(10)

    source.during = hold
    found = []
    threads = [threading.Thread(target=lambda: found.append(cached.case("CASE-1001").number)) for _ in range(20)]
    for thread in threads:
        thread.start()
    entered.wait(10)
    while cached.tallies()["case"]["joined"] < 19:
        threading.Event().wait(0.001)
    go.set()
    for thread in threads:
        thread.join()
    assert (found, len(source.asked)) == (["CASE-1001"] * 20, 1)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (LookupUnavailableError("down", retry_after=42.0), LookupUnavailableError),
        (LookupAnswerError("nonsense"), LookupAnswerError),
        (PrincipalNotFoundError("none"), PrincipalNotFoundError),
        (ZeroDivisionError(), LookupUnavailableError),
    ],
)
def test_those_who_share_a_question_share_its_failure(cached, source, error, expected):
    """Each gets an error of its own, with all that it says."""
    entered, go = threading.Event(), threading.Event()
    source.error = error
    source.during = lambda: (entered.set(), go.wait(10))
    caught = []

    def ask():
        try:
            cached.principal("erin")
        except Exception as problem:  # noqa: BLE001 (whatever it is, it is compared below)
            caught.append(problem)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    threads[0].start()
    entered.wait(10)
    threads[1].start()
    while cached.tallies()["principal"]["joined"] < 1:
        threading.Event().wait(0.001)
    go.set()
    for thread in threads:
        thread.join()
    assert caught[0] is not caught[1]
    assert {type(problem) for problem in caught} == {type(error), expected}
    assert {getattr(problem, "retry_after", None) for problem in caught if type(problem) is type(error)} == {
        getattr(error, "retry_after", None)
    }


def test_who_waits_for_another_does_not_wait_for_ever(source, clock):
    """A call that shares a question which hangs gives up on its own."""
    cached = CachedLookup(source, CacheSettings(wait=0.01), clock=clock)
    entered, go = threading.Event(), threading.Event()
    source.during = lambda: (entered.set(), go.wait(10))
    leader = threading.Thread(target=lambda: cached.principal("erin"))
    leader.start()
    entered.wait(10)
    with pytest.raises(LookupUnavailableError, match="too long"):
        cached.principal("erin")
    go.set()
    leader.join()


@pytest.mark.parametrize(
    ("ask", "forget"),
    [
        (lambda c: c.principal("erin"), lambda c: c.forget_principal("erin")),
        (lambda c: c.case("CASE-1001"), lambda c: c.forget_case("CASE-1001")),
        (lambda c: c.cases("acme"), lambda c: c.forget_case("CASE-1001")),
        (lambda c: c.cases("acme"), lambda c: c.forget_case("NEW-1")),
        (lambda c: c.customer("acme"), lambda c: c.forget_customer("acme")),
        (lambda c: c.customers(), lambda c: c.forget_customer("acme")),
        (lambda c: c.cases("acme"), lambda c: c.forget_customer("acme")),
        *(
            (ask, lambda c: c.forget_everything())
            for ask in (
                lambda c: c.principal("erin"),
                lambda c: c.case("CASE-1001"),
                lambda c: c.customer("acme"),
                lambda c: c.cases("acme"),
                lambda c: c.customers(),
            )
        ),
    ],
)
def test_what_is_forgotten_is_asked_anew(cached, source, ask, forget):
    """Forgetting reaches the record and every list that it may be in, and leaves no stale answer behind."""
    ask(cached)
    forget(cached)
    ask(cached)
    assert len(source.asked) == 2
    forget(cached)
    source.error = LookupUnavailableError("down")
    with pytest.raises(LookupUnavailableError):
        ask(cached)


def test_forgetting_leaves_others_alone(cached, source):
    """One login's change costs no other login a question."""
    cached.principal("erin")
    cached.forget_principal("alice@acme")
    cached.forget_principal("..")
    cached.forget_case("/")
    cached.forget_customer("/")
    cached.principal("erin")
    assert len(source.asked) == 1


def test_absence_is_forgotten_too(cached, source):
    """A login made a moment ago is found as soon as its making is announced."""
    with pytest.raises(PrincipalNotFoundError):
        cached.principal("new")
    source.change({**TABLE, "principals": [*TABLE["principals"], {"login": "new", "roles": ["auditor"]}]})
    cached.forget_principal("new")
    assert cached.principal("new").login == "new"


@pytest.mark.parametrize("forget", [lambda c: c.forget_principal("erin"), lambda c: c.forget_everything()])
def test_answer_that_a_forget_overtook_is_not_given_out(cached, source, forget):
    """A login that was asked for before its revocation is asked for again after it, though nobody else asked."""

    def revoke():
        source.during = lambda: None
        source.change(without("principals", "login", "erin"))
        forget(cached)

    source.during = revoke
    with pytest.raises(PrincipalNotFoundError):
        cached.principal("erin")
    assert len(source.asked) == 2


def test_record_that_changes_for_ever_is_unavailable(cached, source):
    """A question that is overtaken each time is given up, and kept by nobody."""
    source.during = lambda: cached.forget_principal("erin")
    with pytest.raises(LookupUnavailableError):
        cached.principal("erin")
    source.during = lambda: None
    assert cached.principal("erin").login == "erin"


def test_size_is_bounded(source, clock):
    """However many are asked for, no more are held; what was used last stays."""
    source.change({"principals": [{"login": f"p{n}", "roles": ["auditor"]} for n in range(50)]})
    cached = CachedLookup(source, CacheSettings(capacity=10), clock=clock)
    for n in range(50):
        cached.principal("p0")
        cached.principal(f"p{n}")
    assert len(source.asked) == 50
    assert len(cached._principals) == 10


def test_guessed_logins_push_nobody_out(source, clock):
    """Absences have a room of their own, bounded too."""
    cached = CachedLookup(source, CacheSettings(capacity=10), clock=clock)
    cached.principal("erin")
    for n in range(100):
        with pytest.raises(PrincipalNotFoundError):
            cached.principal(f"guess-{n}")
    source.asked.clear()
    cached.principal("erin")
    assert source.asked == []
    assert len(cached._principals) == 11


def test_long_page_counts_by_its_items(source, clock):
    """A page larger than the cache is passed on and not kept, and pushes nothing out."""
    cached = CachedLookup(source, CacheSettings(capacity=10), clock=clock)
    cached.cases("acme")
    assert len(cached.cases("c-00", limit=25).items) == 25
    cached.cases("acme")
    assert len(source.asked) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"ttl": 40.0},
        {"stale_if_error": 60.0},
        {"negative_ttl": 61.0},
        {"ttl": -1.0},
        {"capacity": 0},
        {"breaker_failures": 0},
        {"breaker_rest": 0.0},
        {"wait": 0.0},
    ],
)
def test_settings_that_would_outlive_the_bound_are_refused(changes):
    """No setting lets an old answer live longer than a revocation may take."""
    with pytest.raises(ValueError, match=r"bound|above zero|at least 1"):
        CacheSettings(**changes)


def test_threads_and_forgets_together_never_see_the_past(source, clock):
    """Whatever the order, a call that begins after a forget sees the state from after the change before it."""
    cached = CachedLookup(source, SETTINGS, clock=clock)
    tables = [{**TABLE, "principals": [{"login": "erin", "roles": ["engineer"], "clearance": n}]} for n in range(41)]
    announced, wrong, done = [0], [], threading.Event()

    def watch():
        while not done.is_set():
            least = announced[0]
            try:
                seen = cached.principal("erin").clearance
            except LookupUnavailableError:
                continue
            if seen < least:
                wrong.append((least, seen))

    source.change(tables[0])
    threads = [threading.Thread(target=watch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(1, 41):
        source.change(tables[n])
        cached.forget_principal("erin")
        announced[0] = n
        threading.Event().wait(0.001)
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
