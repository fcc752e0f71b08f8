"""What every `ObjectStore` must do. A test module makes a subclass of `StoreContract` with a fixture `store`."""

import threading

import pytest

from storage.errors import ObjectExistsError, ObjectNameError, ObjectNotFoundError
from storage.store import StoredObject

BAD_NAMES = [
    "", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a/.b", ".a", "A", "a b", "a\0", "a\n", "é", "a\\b", "-a", "_a",
    "a" * 256,
]  # fmt: skip


class StoreContract:
    """Cases for a fixture `store`, an empty store."""

    def test_put_then_read_gives_the_bytes(self, store):
        """What was put is read back, at any offset."""
        put = store.put("bodies/ab/one", [b"hello ", memoryview(b"sealed "), bytearray(b"world")])
        reader = store.open("bodies/ab/one")
        assert put == StoredObject(name="bodies/ab/one", size=18) == store.stat("bodies/ab/one")
        assert reader.size == 18
        assert [reader.read(0, 100), reader.read(6, 6), reader.read(17, 5), reader.read(18, 5), reader.read(99, 1)] == [
            b"hello sealed world", b"sealed", b"d", b"", b"",
        ]  # fmt: skip
        reader.close()
        reader.close()

    def test_put_consumes_a_chunk_before_it_asks_for_the_next(self, store):
        """A source may reuse one buffer for all of its chunks."""
        buffer = bytearray(3)

        def chunks():
            for text in (b"one", b"two", b"six"):
                buffer[:] = text
                yield memoryview(buffer)

        store.put("a", chunks())
        assert store.open("a").read(0, 9) == b"onetwosix"

    def test_put_of_nothing_is_an_empty_object(self, store):
        """An object may be empty."""
        assert store.put("empty", []).size == 0
        assert store.open("empty").read(0, 1) == b""

    def test_put_never_overwrites(self, store):
        """The second put of a name is refused and changes nothing."""
        store.put("a/b", [b"first"])
        with pytest.raises(ObjectExistsError):
            store.put("a/b", [b"second"])
        assert store.open("a/b").read(0, 9) == b"first"

    def test_replace_puts_the_new_in_place_of_the_old(self, store):
        """A slot can be rewritten; who has the old one open goes on reading it."""
        store.put("slot", [b"old"])
        before = store.open("slot")
        store.put("slot", [b"newer"], replace=True)
        store.put("fresh", [b"x"], replace=True)
        assert (before.read(0, 9), store.open("slot").read(0, 9)) == (b"old", b"newer")
        assert [found.name for found in store.list()] == ["fresh", "slot"]

    def test_failing_source_leaves_nothing(self, store):
        """A put whose source breaks off stores nothing, and the source's own error comes out."""

        def chunks():
            yield b"begun"
            raise OSError("the source broke")

        with pytest.raises(OSError, match="the source broke"):
            store.put("a", chunks())
        with pytest.raises(ObjectNotFoundError):
            store.stat("a")
        assert list(store.list()) == []

    def test_missing_object_is_not_found(self, store):
        """Opening or describing what is not there says so; so does a name that others only begin with."""
        store.put("a/b", [b"x"])
        for name in ("b", "a", "a/b/c"):
            with pytest.raises(ObjectNotFoundError):
                store.open(name)
            with pytest.raises(ObjectNotFoundError):
                store.stat(name)

    def test_delete_is_idempotent(self, store):
        """Deleting removes; deleting again, or what never was, does nothing."""
        store.put("a/b", [b"x"])
        reader = store.open("a/b")
        store.delete("a/b")
        store.delete("a/b")
        store.delete("never/there")
        assert list(store.list()) == []
        assert reader.read(0, 1) == b"x"
        store.put("a/b", [b"again"])

    def test_list_is_by_prefix_and_in_order(self, store):
        """Names come in the order of their bytes, also where a directory sorts between files."""
        names = ["a", "b/0/x", "b/1", "b/10", "b-c/1", "b.d", "c/1/2/3", "slots/ab/1"]
        for name in reversed(names):
            store.put(name, [name.encode()])
        assert [found.name for found in store.list()] == sorted(names)
        assert [found.name for found in store.list("b")] == sorted(n for n in names if n.startswith("b"))
        assert [found.name for found in store.list("b/")] == ["b/0/x", "b/1", "b/10"]
        assert [found.name for found in store.list("b/1")] == ["b/1", "b/10"]
        assert [found.name for found in store.list("c/1/2/")] == ["c/1/2/3"]
        assert list(store.list("zz")) == list(store.list("a/b")) == []
        assert {found.name: found.size for found in store.list("b-")} == {"b-c/1": 5}

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_bad_name_is_refused_by_all(self, store, name):
        """No verb takes a name that is not strictly one."""
        for verb in (store.open, store.stat, store.delete, lambda n: store.put(n, [b"x"])):
            with pytest.raises(ObjectNameError):
                verb(name)

    def test_bad_prefix_is_refused(self, store):
        """No listing leaves the store."""
        for prefix in ("../", "/", ".incoming", "a//"):
            with pytest.raises(ObjectNameError):
                list(store.list(prefix))

    def test_two_puts_of_one_name_have_one_winner(self, store):
        """Of many puts of a name at once one succeeds, and its bytes stay."""
        won, lost = [], []

        def put(text):
            try:
                store.put("race", [text] * 50)
                won.append(text)
            except ObjectExistsError:
                lost.append(text)

        threads = [threading.Thread(target=put, args=(b"%d" % n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(won), len(lost)) == (1, 7)
        assert store.open("race").read(0, 999) == won[0] * 50

    def test_threads_read_one_reader(self, store):
        """A reader may be shared by threads."""
        data = bytes(range(256)) * 64
        store.put("a", [data])
        reader = store.open("a")
        wrong = []

        def read(start):
            offsets = range(start, len(data), 97)
            wrong.extend(o for o in offsets if reader.read(o, 50) != data[o : o + 50])

        threads = [threading.Thread(target=read, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
