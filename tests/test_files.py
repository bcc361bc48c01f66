import errno
import multiprocessing
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilm.errors import UserError
from ilm.files import atomic_file, atomic_folder, cache_folder, denied, read_json, require_writable, write_json
from ilm.hashing import canonical_json, digest, file_sha256, order_key, order_keys


def names(folder):
    return sorted(os.listdir(folder))


def test_a_file_is_whole_or_the_old_one(tmp_path):
    path = tmp_path / "a" / "x.json"
    write_json(path, {"é": 1})
    assert read_json(path) == {"é": 1}

    def interrupted():
        with atomic_file(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert read_json(path) == {"é": 1}
    assert names(path.parent) == ["x.json"]


def test_a_folder_is_whole_or_the_old_one(tmp_path):
    path = tmp_path / "masks"
    for text in ("old", "new"):
        with atomic_folder(path) as temporary:
            (temporary / "file").write_text(text)
    assert (path / "file").read_text() == "new"

    def failing():
        with atomic_folder(path) as temporary:
            (temporary / "file").write_text("half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        failing()
    assert (path / "file").read_text() == "new"
    with atomic_folder(path, keep_existing=True) as temporary:
        (temporary / "file").write_text("same content, made twice")
    assert (path / "file").read_text() == "new"
    assert names(tmp_path) == ["masks"]


def test_a_place_is_tried_before_the_work(tmp_path, monkeypatch):
    require_writable(tmp_path / "a" / "b", "paths.results")
    assert names(tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(
        UserError, match=r"file/b cannot be written to \(Not a directory\): type paths\.results=\.\.\. for"
    ):
        require_writable(tmp_path / "file" / "b", "paths.results")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="the disk is full"):
        require_writable(tmp_path, "paths.data")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left", "/x"), "the disk is full: /x could not be written"),
        (OSError(errno.EFBIG, "File too large"), "the file is too large here (ulimit -f): a file could not be written"),
        (Exception("I/O error: File too large (os error 27)"), "the file is too large here (ulimit -f): a file could"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "Permission denied: /x"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/x"), "Not a directory: /x"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/x"), None),
        (ValueError("28"), None),
    ],
)
def test_a_file_without_room_or_permission_is_named(error, expected):
    around = RuntimeError("unexpected pos")
    around.__cause__ = error
    for raised in (error, around):
        why = denied(raised)
        assert why is None if expected is None else why.startswith(expected)


def make_cache(path):
    for _ in range(20):
        with atomic_folder(path, keep_existing=True) as temporary:
            (temporary / "file").write_text("cache")
        assert (path / "file").read_text() == "cache"


def test_several_processes_make_one_cache(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=make_cache, args=(tmp_path / "cache",)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert names(tmp_path) == ["cache"]


def test_a_number_json_cannot_hold_is_an_error(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert names(tmp_path) == []


def test_hashes_are_the_same_everywhere(tmp_path):
    """Literal values: folder names and the order of documents must never change by accident."""
    assert digest({"b": [1, None], "a": "é"}) == digest({"a": "é", "b": [1, None]}) == "65c37b72a12c"
    assert digest({"b": [1, None], "a": "é"}, 1) == "8bc2c5232637", "of another version"
    assert order_key(0, "validation", "w1", 3) == 16212576319677435050
    (tmp_path / "x").write_bytes(b"abc")
    assert file_sha256(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_different_parts_have_different_keys(a, b):
    assert (order_key(*a) == order_key(*b)) == (a == b)
    if a:
        assert order_keys(*a[:-1])(a[-1]) == order_key(*a)


def test_canonical_json_has_one_form():
    assert canonical_json({"b": 1, "a": {"d": "ü", "c": 1.5}}) == '{"a":{"c":1.5,"d":"ü"},"b":1}'


def test_what_a_library_writes_for_its_owner_alone_gets_the_modes_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_folder(tmp_path / "model") as temporary:
            (temporary / "inner").mkdir()
            for file in (temporary / "weights", temporary / "inner" / "weights"):
                file.touch(mode=0o600)
    finally:
        os.umask(before)
    found = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "model").rglob("*")}
    assert found == {"inner": 0o750, "weights": 0o640}


def test_json_holds_names_of_files_that_are_no_utf_8(tmp_path):
    name = os.fsdecode(b"caf\xe9 \xc3\xa9.csv")
    write_json(tmp_path / "x.json", {"path": name})
    assert read_json(tmp_path / "x.json") == {"path": name}


def test_a_cache_lies_elsewhere_where_its_folder_cannot_be_written_to(tmp_path, monkeypatch):
    root, instead = tmp_path / "data" / "tokens", tmp_path / "cache"
    assert cache_folder(root, "a", instead) == root / "a"
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)  # the first of its parents that is there
    assert cache_folder(root, "a", instead) == instead / "a"
    assert cache_folder(root, "a") == root / "a"
    (root / "a").mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert cache_folder(root, "a", instead) == root / "a"
    assert cache_folder(root, "b", instead) == instead / "b"
