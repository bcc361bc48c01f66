import copyreg
import io
import os
import pickle
import random
import struct
import tracemalloc
from contextlib import suppress
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.errors import UserError
from ilm.reference import unpickle
from ilm.reference.unpickle import Member, iter_plain, load_plain

ENUMERATION = "ilm.mask.hierarchical.MaskHierarchicalType"

atoms = st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False) | st.text(max_size=80)
keys = st.integers(-(2**60) + 1, 2**60 - 1) | st.text()


def _containers(inner: st.SearchStrategy) -> st.SearchStrategy:
    lists = st.lists(inner, max_size=4)
    return lists | lists.map(tuple) | st.dictionaries(keys, inner, max_size=4)


trees = st.recursive(atoms, _containers, max_leaves=20)


def written(folder: Path, raw: bytes) -> Path:
    path = folder / "data.pkl"
    path.write_bytes(raw)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pickles")


@given(value=trees, protocol=st.integers(0, 5))
def test_plain_values_are_read_as_pickle_reads_them(folder, value, protocol):
    assert load_plain(written(folder, pickle.dumps(value, protocol))) == value


@given(value=st.lists(trees, max_size=6), protocol=st.integers(0, 5))
def test_a_list_is_read_item_by_item(folder, value, protocol):
    assert list(iter_plain(written(folder, unshared(value, protocol)))) == value


def unshared(value, protocol: int) -> bytes:
    """A pickle without references to earlier parts, as the message about shared parts tells to make it."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, protocol)
    pickler.fast = True
    pickler.dump(value)
    return file.getvalue()


def test_bytes_and_long_text(tmp_path):
    for value in (b"\0\xff", b"x" * 300, "x" * 70_000, "\ud800", "é\\u12 \n\r"):
        for protocol in (3, 4, 5):
            assert load_plain(written(tmp_path, pickle.dumps(value, protocol))) == value


class Kind(Enum):
    FIRST = 0
    SECOND = 1


def test_members_of_named_enumerations(tmp_path):
    name = f"{Kind.__module__}.Kind"
    for protocol in range(6):
        path = written(tmp_path, pickle.dumps([Kind.FIRST, Kind.SECOND, Kind.FIRST], protocol))
        assert load_plain(path, [name]) == [Member(name, 0), Member(name, 1), Member(name, 0)]
        assert list(iter_plain(path, [name])) == [Member(name, 0), Member(name, 1), Member(name, 0)]
        with pytest.raises(UserError, match=r"found .*Kind"):
            load_plain(path)


class _Reduced:
    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def malicious(command: str) -> dict[str, bytes]:
    """Pickles that run `command` when they are unpickled, by the way they take."""
    line, text = command.encode() + b"\n", b"X" + struct.pack("<I", len(command)) + command.encode()
    short = b"\x8c" + bytes([len(command)]) + command.encode()
    evaluated = f"__import__('os').system({command!r})".encode()
    return {
        "GLOBAL, REDUCE": b"cos\nsystem\n(V" + line + b"tR.",
        "GLOBAL of protocol 2": b"\x80\x02cposix\nsystem\n" + text + b"\x85R.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93" + short + b"\x85R.",
        "names from the memo": b"\x80\x04\x8c\x02os\x940\x8c\x06system\x940h\x00h\x01\x93" + short + b"\x85R.",
        "INST": b"(V" + line + b"ios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nV" + line + b"o.",
        "nested names": b"\x80\x04\x8c\x07os.path\x8c\x09os.system\x93" + short + b"\x85R.",
        "eval": b"cbuiltins\neval\n(V" + evaluated + b"\ntR.",
        "eval of protocol 2": b"\x80\x02c__builtin__\neval\n(V" + evaluated + b"\ntR.",
        "getattr": b"cbuiltins\ngetattr\n(cos\n__dict__\nVget\ntR(Vsystem\ntR(V" + line + b"tR.",
        "BUILD": b"\x80\x02c_testing_build\nBuilt\n)\x81}X\x07\0\0\0command" + text + b"sb.",
        "EXT1": b"\x80\x02\x82\x7f" + text + b"\x85R.",
        "EXT2": b"\x80\x02\x83\x7f\0" + text + b"\x85R.",
        "EXT4": b"\x80\x02\x84\x7f\0\0\0" + text + b"\x85R.",
        "inside a list": b"\x80\x02](K\x01cos\nsystem\n" + text + b"\x85Re.",
        "as a key": b"\x80\x02}cos\nsystem\n" + text + b"\x85RK\x01s.",
        **{f"__reduce__, protocol {n}": pickle.dumps(_Reduced(command), n) for n in range(6)},
    }


class _Built:
    def __setstate__(self, state):
        os.system(state["command"])


@pytest.fixture
def dangerous_modules(monkeypatch):
    """What the routes over BUILD and the extension registry need, to be as dangerous as they can be."""
    import sys
    import types

    module = types.ModuleType("_testing_build")
    module.Built = _Built
    monkeypatch.setitem(sys.modules, "_testing_build", module)
    copyreg.add_extension("os", "system", 0x7F)
    yield
    copyreg.remove_extension("os", "system", 0x7F)


@pytest.mark.parametrize("route", malicious("true"))
def test_a_malicious_pickle_is_refused_and_nothing_runs(route, tmp_path, dangerous_modules):
    sentinel = tmp_path / "ran"
    path = written(tmp_path, malicious(f"touch {sentinel}")[route])
    for read in (load_plain, lambda *arguments: list(iter_plain(*arguments))):
        with pytest.raises(UserError, match=r"found .* expected plain data"):
            read(path, [ENUMERATION])
    assert not sentinel.exists()
    # It would have run: the test is not about a broken pickle.
    pickle.loads(path.read_bytes())
    assert sentinel.exists()


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"\x80\x02cilm.mask\nhierarchical.MaskHierarchicalType\nK\x04\x85R.", "hierarchical.MaskHierarchicalType"),
        (b"\x80\x02cilm.mask.hierarchical\nMaskHierarchicalType.mro\n)R.", "MaskHierarchicalType.mro"),
        (b"\x80\x02cilm.mask.hierarchical\nMaskHierarchicalType\n)\x81.", "the opcode NEWOBJ"),
        (b"\x80\x04cilm.mask.hierarchical\nMaskHierarchicalType\n)}\x92.", "the opcode NEWOBJ_EX"),
        (b"\x80\x02cilm.mask.hierarchical\nMaskHierarchicalType\n}b.", "the opcode BUILD"),
        (b"\x80\x02cilm.mask.hierarchical\nMaskHierarchicalType\nK\x01K\x02\x86R.", "a call"),
        (b"\x80\x02K\x01)R.", "a call"),
        (b"\x80\x02cbuiltins\nset\n]K\x01a\x85R.", "builtins.set"),
        (b"\x80\x04\x8f.", "the opcode EMPTY_SET"),
        (b"\x80\x02]}b.", "the opcode BUILD"),
        (b"Pid\n.", "the opcode PERSID"),
        (b"\x80\x02K\x01Q.", "the opcode BINPERSID"),
        (b"\x80\x05\x97.", "the opcode NEXT_BUFFER"),
        (b"S'text of Python 2'\n.", "the opcode STRING"),
        (b"\x80\x02}(K\x01K\x02tK\x03s.", "a tuple as a key"),
    ],
)
def test_what_is_no_plain_data_is_named(raw, found, tmp_path):
    with pytest.raises(UserError, match=f"found .*{found}"):
        load_plain(written(tmp_path, raw), [ENUMERATION])


@pytest.mark.parametrize(
    "raw",
    [
        b"\x80\x02r\xff\xff\xff\x7f.",  # a memo of gigabytes, of nothing
        b"\x80\x04\x8d" + b"\xff" * 8 + b"x.",  # text of 2 to the 64 bytes
        b"\x80\x04\x8e\xff\xff\xff\xff\x10\0\0\0.",  # bytes of 70 GB
        b"\x80\x04\x95" + b"\xff" * 8 + b".",  # nothing in an endless frame
        b"\x80\x02\x8b\xff\xff\xff\x7f1.",  # a number of 2 billion bytes
        b"L" + b"9" * 5000 + b"L\n.",
        b"(" * 100_000 + b".",
        b"\x80\x02K\x01" + b"2\x86" * 70 + b".",  # a pair of a pair of ...: 2 to the 70 values
        b"\x80\x02}" + b"K\x01" + b"\x85" * 100_000 + b"K\x01s.",  # hashing it overflows the stack of C
        b"\x80\x04" + b"N" + b"\x85" * 100_000 + b"N\x93.",  # so does one as the name of a class
        b"\x80\x04N" + b"2\x86" * 70 + b"N\x93.",  # and to show this one takes for ever
        b"\x80\x04(" + b"\x8f" * 2**21 + b"l.",  # sets: 216 bytes of memory for one of the file
        b"\x80\x09N.",
        b"",
        b".",
        b"N",
        b"NN.",
        b"N.N.",
        b"(N.",
        b"\xff.",
        b"t.",
        b"h\x07.",
        b"Nu.",
        b"Xabcdefghij",
        b"X\x02\0\0\0\xff\xff.",
        b"cos",
        b"ione\n.",
    ],
)
def test_bombs_and_rubbish_end_in_one_message(raw, tmp_path):
    path = written(tmp_path, raw)
    tracemalloc.start()
    try:
        with pytest.raises(UserError):
            load_plain(path, [ENUMERATION])
        with suppress(UserError):
            for _ in iter_plain(path, [ENUMERATION]):
                pass
        assert tracemalloc.get_traced_memory()[1] < 200 * 2**20
    finally:
        tracemalloc.stop()


def test_numbers_of_one_hash_are_no_keys(tmp_path):
    """Hours for a dictionary of a few hundred thousand of them."""
    numbers = [k * (2**61 - 1) for k in range(1, 40_000)]
    assert len({hash(number) for number in numbers}) == 1
    pushed = [pickle.dumps(number, 2)[2:-1] for number in numbers]
    with pytest.raises(UserError, match="as a key"):
        load_plain(written(tmp_path, b"\x80\x02}(" + b"N".join(pushed) + b"Nu."))


def test_what_items_share_does_not_grow_with_them(tmp_path):
    """Text, short though it is, and members, each with a place in the memo."""
    begin = b"\x80\x04]c" + ENUMERATION.replace(".MaskH", "\nMaskH").encode() + b"\nK\0\x85R\x940"
    for item in (b"\x8c\x08document\x94a", b"h\0\x94a"):
        peaks = []
        for count in (12_000, 24_000):
            path = written(tmp_path, begin + item * count + b".")
            tracemalloc.start()
            assert sum(1 for _ in iter_plain(path, [ENUMERATION])) == count
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] < peaks[0] + 2**20


def test_an_index_into_the_memo_costs_nothing(tmp_path):
    assert load_plain(written(tmp_path, b"\x80\x02K\x01r\xff\xff\xff\x7f.")) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"\x80\x02K\x01" + b"\x85" * 100_000 + b".",
        b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        b"\x80\x02]q\0h\0a.",  # a list in itself
        b"\x80\x02]q\0(h\0h\0tq\1a.",
    ],
)
def test_deep_and_cyclic_values_are_given_back(raw, tmp_path):
    path = written(tmp_path, raw)
    assert type(load_plain(path)) in (tuple, list)
    with suppress(UserError):  # a tuple is no list
        assert len(list(iter_plain(path))) == 1


def test_endless_work_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpickle, "MAX_OPERATIONS", 1000)
    path = written(tmp_path, pickle.dumps([list(range(1000))]))
    for read in (load_plain, lambda *arguments: list(iter_plain(*arguments))):
        with pytest.raises(UserError, match="1,000 operations"):
            read(path)
    # Finished items begin the count anew.
    path = written(tmp_path, pickle.dumps([[i, i] for i in range(5000)], 2))
    monkeypatch.setattr(unpickle, "MAX_OPERATIONS", 10_000)
    assert len(list(iter_plain(path))) == 5000


def test_a_large_file_is_no_small_value(tmp_path):
    path = written(tmp_path, b"")
    os.truncate(path, 2**30)
    with pytest.raises(UserError, match="at most"):
        load_plain(path)


def test_no_list(tmp_path):
    for value in ((1, 2), {"a": 1}, 3, None):
        with pytest.raises(UserError, match="expected one list"):
            list(iter_plain(written(tmp_path, pickle.dumps(value))))
    # A list that is thrown away, with items that were finished.
    with pytest.raises(UserError, match="expected one list"):
        list(iter_plain(written(tmp_path, b"\x80\x02](K\x01e0].")))


def test_items_that_share_parts_are_refused(tmp_path):
    for shared in ([1], "a text"):
        value = [[i] for i in range(1500)] + [shared] * 1500
        with pytest.raises(UserError, match=r"belongs to an earlier item.*fast = True"):
            list(iter_plain(written(tmp_path, pickle.dumps(value, 2))))
        assert list(iter_plain(written(tmp_path, unshared(value, 2)))) == value
        assert load_plain(written(tmp_path, pickle.dumps([shared, shared]))) == [shared, shared]


def test_python_has_texts_of_one_character_once(tmp_path):
    value = [str(i % 10) for i in range(3000)]
    assert list(iter_plain(written(tmp_path, pickle.dumps(value)))) == value


def test_damaged_pickles_end_in_a_value_or_one_message(tmp_path):
    documents = [(f"text {i} é", [[(Kind.FIRST, i, 5), (Kind.SECOND, 300, 70_000)], []]) for i in range(5)]
    draw, outcomes = random.Random(0), {True: 0, False: 0}
    for protocol in (0, 2, 3, 4):
        whole = pickle.dumps(documents, protocol)
        for _ in range(120):
            raw = bytearray(whole)
            for _ in range(draw.choice((1, 1, 1, 3))):
                place = draw.randrange(len(raw))
                change = draw.randrange(4)
                if change == 0:
                    raw[place] ^= 1 << draw.randrange(8)
                elif change == 1:
                    raw[place] = draw.randrange(256)
                elif change == 2:
                    raw = raw[: place + 1]
                else:
                    raw.insert(place, draw.randrange(256))
            path = written(tmp_path, bytes(raw))
            for read in (load_plain, lambda *arguments: list(iter_plain(*arguments))):
                try:
                    read(path, [f"{Kind.__module__}.Kind"])
                    outcomes[True] += 1
                except UserError:
                    outcomes[False] += 1
    assert min(outcomes.values()) > 50


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load_plain(tmp_path / "missing.pkl")
