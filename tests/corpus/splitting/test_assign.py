from collections import Counter

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilm.corpus.leakage import SharedValues, leak_report
from ilm.corpus.splitting.assign import SPLITS, assign_splits, given_split, level_targets
from ilm.corpus.text_keys import folded
from ilm.errors import UserError
from ilm.hashing import order_key


def corpus(*rows: tuple[str, ...]) -> pd.DataFrame:
    """rows: (level, L1, text), perhaps with learner, perhaps with topic; ids a, b, c, ..."""
    names = ["cefr_level", "l1", "text", "learner_id", "topic"][: len(rows[0])]
    documents = pd.DataFrame(list(rows), columns=names, dtype="str")
    documents.insert(0, "writing_id", pd.Series([chr(ord("a") + n) for n in range(len(rows))], dtype="str"))
    return documents


def split_ids(documents: pd.DataFrame, splits: pd.Series) -> dict[str, str]:
    """{"train": "abc", ...}"""
    return {split: "".join(documents["writing_id"][splits == split]) for split in SPLITS}


def by_hash(ids: str, seed: int = 0) -> str:
    return "".join(sorted(ids, key=lambda name: order_key(seed, name)))


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (341155, (272924, 34115, 34116)),
        (215344, (172275, 21534, 21535)),
        (116539, (93231, 11654, 11654)),
        (40238, (32190, 4024, 4024)),
        (10006, (8004, 1001, 1001)),
        (10, (8, 1, 1)),
        (6, (4, 1, 1)),
        (5, (4, 0, 1)),
        (1, (0, 0, 1)),
    ],
)
def test_targets(count, expected):
    assert tuple(level_targets(count).values()) == expected


def test_singles_fill_the_cells_in_the_order_of_their_hash():
    # targets 8/1/1; train shared 4.8 : 3.2 = 5 : 3; one document left in each L1: valid to x by name, test to y
    assert by_hash("abcdef") == "ecbdaf"
    assert by_hash("ghij") == "igjh"
    documents = corpus(*[("A1", "x", f"x{n}") for n in range(6)], *[("A1", "y", f"y{n}") for n in range(4)])
    splits, report = assign_splits(documents, seed=0)
    assert split_ids(documents, splits) == {"train": "abcdegij", "valid": "f", "test": "h"}
    assert report.sizes == report.targets == {"A1": {"train": 8, "valid": 1, "test": 1}}
    assert (report.misses, report.empty, report.group_sizes) == ({}, [], {})


def test_l1s_of_one_document_each_are_shared_out_by_name():
    documents = corpus(*[("A1", l1, l1) for l1 in "abcdefghij"])
    assert split_ids(documents, assign_splits(documents, seed=0)[0]) == {"train": "abcdefgh", "valid": "i", "test": "j"}


def test_groups_go_first_and_singles_make_the_sizes_exact():
    # a b c | g equal (4 documents), d e | h equal (3), f, i, j single. Targets 8/1/1, cells x 5/1/0, y 3/0/1.
    # Only train lacks 4, then only train (4 open) lacks 3. f takes x's place in valid; i, j those of y by hash.
    texts = ["One text", "one  TEXT", "one\ntext", "two", "Two ", "f", "one text", "two", "i", "j"]
    documents = corpus(*[("A1", "x" if n < 6 else "y", text) for n, text in enumerate(texts)])
    splits, report = assign_splits(documents, seed=0)
    assert by_hash("ij") == "ij"
    assert split_ids(documents, splits) == {"train": "abcdeghi", "valid": "f", "test": "j"}
    assert report.misses == {}
    assert report.group_sizes == {3: 1, 4: 1}
    assert report.to_dict()["group_sizes"] == {"3": 1, "4": 1}


def test_equal_groups_spread_over_the_splits():
    # 20 pairs: targets 32/4/4. All splits lack 2; equally open, so train; then valid, test (wholly open) and so on.
    documents = corpus(*[("A1", "x", f"text {n // 2}") for n in range(40)])
    splits, report = assign_splits(documents, seed=0)
    pairs = by_hash("".join(documents["writing_id"][::2]))
    assert report.sizes == {"A1": {"train": 32, "valid": 4, "test": 4}}
    order = [splits[documents.index[documents["writing_id"] == first][0]] for first in pairs]
    assert order[:4] == ["train", "valid", "test", "train"]


def test_the_largest_group_goes_first():
    # The group of 8 takes the places of train; valid and test lack 1 of the pair: valid by order. (The pair first
    # would go to train, and the 8 after it.)
    documents = corpus(*[("A1", "x", "pair" if n < 2 else "eight") for n in range(10)])
    splits, report = assign_splits(documents, seed=0)
    assert split_ids(documents, splits) == {"train": "cdefghij", "valid": "ab", "test": ""}
    assert report.misses == {"A1": {"valid": 1, "test": -1}}


def test_what_a_split_has_too_much_of_one_level_does_not_count_against_another():
    # A1 (30): 24/3/3, B1 (20): 16/2/2. After 29 A1 train has 5 too many. Of a group of 1 A1 and 7 B1 it lacks 0 + 7
    # (not -5 + 7), valid and test 1 + 2.
    rows = [("A1", "x", "big")] * 29 + [("A1", "x", "both")] + [("B1", "x", "both")] * 7
    rows += [("B1", "x", f"text {n}") for n in range(13)]
    splits, report = assign_splits(corpus(*rows), seed=0)
    assert set(splits[:37]) == {"train"}
    assert report.sizes == {"A1": {"train": 30, "valid": 0, "test": 0}, "B1": {"train": 16, "valid": 2, "test": 2}}


def test_documents_whose_cell_is_full_make_up_the_level_in_the_order_of_their_hash():
    # 20 documents: 16/2/2. Cells: w 5/1/0, x 1/0/0, y 1/0/0, z 9/1/2. The group of 12 (all of z) goes to train, which
    # then lacks 4 where w, x and y want 7: w takes them and its place in valid; one of w, x and y are left over
    # for one place in valid and two in test.
    documents = corpus(*[("A1", "z", "same")] * 12, *[("A1", l1, f"text {n}") for n, l1 in enumerate("wwwwwwxy")])
    assert by_hash("mnopqr") == "rnopmq"
    assert by_hash("qst") == "sqt"
    splits, report = assign_splits(documents, seed=0)
    assert split_ids(documents, splits) == {"train": "abcdefghijklnopr", "valid": "ms", "test": "qt"}
    assert report.misses == {}


def test_a_group_over_two_levels_goes_where_most_of_it_is_lacking():
    # A1 (10): 8/1/1, B1 (10): 8/1/1. Group of 7 A1 and 1 B1, then group of 2 A1 and 3 B1 by a shared learner.
    # The first: train lacks 8. The second: train lacks 1 + 3 = 4, valid and test 1 + 1 = 2.
    rows = [("A1", "x", f"1{n}", "anna" if n < 7 else "ben" if n < 9 else "") for n in range(10)]
    rows += [("B1", "x", f"2{n}", "anna" if n < 1 else "ben" if n < 4 else "") for n in range(10)]
    documents = corpus(*rows)
    splits, report = assign_splits(documents, seed=0)
    assert set(splits[documents["learner_id"] != ""]) == {"train"}
    # A1: 9 in train; valid and test lack 1 each but one document is left: test by name of the split
    assert report.sizes == {
        "A1": {"train": 9, "valid": 0, "test": 1},
        "B1": {"train": 8, "valid": 1, "test": 1},
    }
    assert report.misses == {"A1": {"train": 1, "valid": -1}}
    assert report.empty == [("A1", "valid")]
    assert report.to_dict()["empty"] == [["A1", "valid"]]


def test_text_and_learner_connect_across_each_other():
    # a-b by text, b-c by learner, c-d by text: one group of four over three L1s and two levels
    documents = corpus(
        ("A1", "x", "hello", "1"), ("A1", "y", "Hello", "2"), ("A2", "y", "bye", "2"), ("A2", "z", "BYE", "3"),
        ("A2", "z", "alone", "4"),
    )  # fmt: skip
    splits, report = assign_splits(documents, seed=0)
    assert splits.iloc[:4].nunique() == 1
    assert report.group_sizes == {4: 1}
    assert assign_splits(documents, 0, keep_together=("text",))[1].group_sizes == {2: 2}
    assert assign_splits(documents, 0, keep_together=("learner_id",))[1].group_sizes == {2: 1}
    assert assign_splits(documents, 0, keep_together=())[1].group_sizes == {}


def test_empty_learner_ids_connect_nothing():
    documents = corpus(*[("A1", "x", str(n), "") for n in range(10)])
    assert assign_splits(documents, 0)[1].group_sizes == {}


def test_no_documents():
    splits, report = assign_splits(corpus(("A1", "x", "one", "", ""))[:0], 0)
    assert (len(splits), report.sizes, report.targets, report.group_sizes) == (0, {}, {}, {})


def test_another_seed_is_another_split():
    documents = corpus(*[("A1", "x", str(n)) for n in range(50)])
    assert not assign_splits(documents, 0)[0].equals(assign_splits(documents, 1)[0])


def test_topics_and_near_duplicates_are_kept_together_when_asked():
    long = "We went to the sea in summer and the water was so cold that nobody wanted to swim"
    documents = corpus(
        ("A1", "x", long, "", "holiday"), ("A1", "x", long.replace("cold", "warm"), "", ""),
        ("A1", "x", "My holiday", "", "holiday"), ("A1", "x", "I am a cook", "", ""),
    )  # fmt: skip

    def groups(*keep_together: str) -> dict[int, int]:
        return assign_splits(documents, 0, keep_together, near_duplicates=0.8)[1].group_sizes

    assert groups("text", "learner_id") == {}
    assert groups("topic") == {2: 1}
    assert groups("near_duplicates") == {2: 1}
    assert groups("topic", "near_duplicates") == {3: 1}
    _, report = assign_splits(documents, 0, ("topic", "near_duplicates"), near_duplicates=0.8)
    assert report.near_duplicates == 0.8


def on_topics(sizes: dict[str, int], *, learner: str = "") -> pd.DataFrame:
    topics = [topic for topic, size in sizes.items() for _ in range(size)]
    rows = [("A1", "x", f"text {n}", learner, topic) for n, topic in enumerate(topics)]
    documents = corpus(*rows)
    return documents.assign(writing_id=pd.Series([f"{n:03d}" for n in range(len(rows))], dtype="str"))


def test_whole_topics_become_test_data():
    documents = on_topics(dict.fromkeys("abcdefghij", 10))
    splits, report = assign_splits(documents, 0, test_on="topic")
    first = min(documents["writing_id"][::10], key=lambda name: order_key(0, name))
    topic = documents["topic"][documents["writing_id"] == first].item()
    assert set(documents["topic"][splits == "test"]) == {topic}
    assert report.sizes == report.targets == {"A1": {"train": 80, "valid": 10, "test": 10}}
    assert report.to_dict()["test_on"] == "topic"
    drawn = {tuple(assign_splits(documents, seed, test_on="topic")[0]) for seed in range(5)}
    assert len(drawn) > 1


def test_what_is_not_drawn_is_divided_eight_to_one():
    # Target 15. 12 leaves 3 missing; with another topic of 12 it were 9 too many.
    _, report = assign_splits(on_topics(dict.fromkeys("abcdefghijkl", 12)), 0, test_on="topic")
    assert report.targets == {"A1": {"train": 117, "valid": 15, "test": 15}}
    assert report.sizes == {"A1": {"train": 117, "valid": 15, "test": 12}}
    assert report.misses == {"A1": {"test": -3}}


def test_a_topic_nearest_to_the_target_is_drawn_where_all_are_too_large():
    splits, report = assign_splits(on_topics({"a": 40, "b": 25, "c": 35}), 0, test_on="topic")
    assert (splits == "test").tolist() == [False] * 40 + [True] * 25 + [False] * 35
    assert report.sizes == {"A1": {"train": 66, "valid": 9, "test": 25}}


def test_topics_are_exchanged_for_others_that_come_nearer_to_the_target():
    # Drawn first, the topics of 9 and of 7 would stay, since another one of 10 or of 4 were too many.
    for sizes in ({"a": 9, "b": 10, "c": 27, "d": 27, "e": 27}, {"a": 7, "b": 6, "c": 4, "d": 41, "e": 42}):
        for seed in range(6):
            _, report = assign_splits(on_topics(sizes), seed, test_on="topic")
            assert report.sizes["A1"]["test"] == 10, (sizes, seed)


def test_documents_without_a_topic_are_no_unseen_topic():
    documents = on_topics({"": 50, "a": 10, "b": 40})
    splits, _ = assign_splits(documents, 0, test_on="topic")
    assert set(documents["topic"][splits == "test"]) == {"a"}
    held_out = leak_report(documents.assign(split=splits), near_duplicates=None, test_on="topic").held_out
    assert held_out == SharedValues(0, 0, without_value=50, examples=())
    # ... unless they must stay with one that is
    documents["text"] = documents["text"].where(~documents["writing_id"].isin(["000", "050"]), "the same")
    splits, _ = assign_splits(documents, 0, test_on="topic")
    assert splits[0] == "test"
    assert (splits == "test").sum() == 11


def test_topics_that_cannot_be_test_data_by_themselves():
    with pytest.raises(UserError, match=r"test_on=topic: .*topic connect up to 100 of 100 .* split\.test_on=null"):
        assign_splits(on_topics({"a": 100}), 0, test_on="topic")
    connected = on_topics(dict.fromkeys("abcdefghij", 10), learner="anna")
    with pytest.raises(
        UserError,
        match=r"text, learner_id, topic connect up to 100 of 100 .* keep fewer texts together: split.keep_together=",
    ):
        assign_splits(connected, 0, test_on="topic")
    assert assign_splits(connected, 0, ["text"], test_on="topic")[1].misses == {}
    equal = connected.assign(text="All wrote this.")
    assert assign_splits(equal, 0, [], test_on="topic")[1].misses == {}
    with pytest.raises(
        UserError, match=r"no column topic .*writing_id.* corpus\.columns\.topic=HEADER .* split\.test_on=l1"
    ):
        assign_splits(connected.drop(columns="topic"), 0, test_on="topic")
    with pytest.raises(UserError, match="empty in every row"):
        assign_splits(connected.assign(topic=""), 0, test_on="topic")


def test_given_splits_are_described_as_they_are():
    documents = corpus(
        ("A1", "x", "Hello", "1"), ("A1", "x", "hello ", "2"), ("A1", "x", "bye", "2"), ("B1", "x", "good", "")
    ).assign(split=["train", "test", "test", "valid"])  # fmt: skip
    report = given_split(documents)
    assert report.sizes == {"A1": {"train": 1, "valid": 0, "test": 2}, "B1": {"train": 0, "valid": 1, "test": 0}}
    assert (report.targets, report.misses) == (None, {})
    assert report.to_dict()["seed"] is None


rows = st.tuples(
    st.sampled_from(["A1", "A2", "B1"]),
    st.sampled_from(["x", "y", "z"]),
    st.integers(0, 400).map(lambda n: f"text {n}"),
    st.sampled_from(["", "", "", "", *"0123456789"]),
    st.sampled_from(["", "", *"abcdefghijklmnopqrst"]),
)
combinations = st.lists(st.sampled_from(["text", "learner_id", "topic", "near_duplicates"]), unique=True)


def divided(values: pd.Series, splits: pd.Series) -> list[str]:
    """Values, other than the empty one, that stand in more than one split."""
    return [value for value, of in splits.groupby(values) if value and of.nunique() > 1]


@settings(max_examples=50)
@given(
    st.lists(rows, min_size=1, max_size=120),
    st.sampled_from([3, 4, 5]),
    combinations,
    st.sampled_from([None, None, "topic", "learner_id"]),
    st.integers(0, 3),
    st.randoms(),
)
def test_every_promise_on_any_corpus(table, columns, keep_together, test_on, seed, shuffler):
    documents = corpus(*(row[:columns] for row in table))
    asked = {"keep_together": keep_together, "test_on": test_on, "near_duplicates": 0.8}
    try:
        splits, report = assign_splits(documents, seed, **asked)
    except UserError as error:
        assert "split.test_on=" in str(error)  # noqa: PT017
        assert test_on is not None
        return
    documents["split"] = splits
    assert set(splits) <= set(SPLITS)
    assert leak_report(documents, near_duplicates=0.8, test_on=test_on).violated(keep_together) == []
    if "text" in keep_together:
        assert divided(documents["text"].map(folded), splits) == []
    for column in {"learner_id", "topic"} & {*keep_together} & {*documents}:
        assert divided(documents[column], splits) == []
    if test_on is not None:
        assert divided(documents[test_on], splits == "test") == []
        assert 0 < (splits == "test").sum() < len(documents)

    levels = Counter(documents["cefr_level"])
    found = Counter(zip(documents["cefr_level"], splits, strict=True))
    for level, sizes in report.sizes.items():
        assert sizes == {split: found[level, split] for split in SPLITS}
        assert report.targets[level]["test"] == level_targets(levels[level])["test"]
        if test_on is None:
            assert report.targets[level] == level_targets(levels[level])
        else:
            assert report.targets[level]["train"] == (sizes["train"] + sizes["valid"]) * 8 // 9
        assert sum(report.targets[level][s] for s in ("train", "valid")) + (
            sizes["test"] if test_on is not None else report.targets[level]["test"]
        ) == sum(sizes.values())
        if not report.group_sizes:
            assert set(report.misses.get(level, {})) <= ({"test"} if test_on else set())
        # Only documents in groups can be above a target: then the split holds nothing else of the level.
        if set(keep_together) <= {"text", "learner_id"}:
            grouped = pd.Series(False, index=documents.index)
            if "text" in keep_together:
                grouped |= documents["text"].map(folded).duplicated(keep=False)
            if "learner_id" in keep_together and "learner_id" in documents:
                grouped |= documents["learner_id"].duplicated(keep=False) & (documents["learner_id"] != "")
            for split, above in report.misses.get(level, {}).items():
                if above > 0 and not (test_on and split == "test"):
                    assert grouped[(documents["cefr_level"] == level) & (splits == split)].all()

    order = list(range(len(documents)))
    shuffler.shuffle(order)
    again, report_again = assign_splits(documents.drop(columns="split").iloc[order], seed, **asked)
    assert again.sort_index().equals(splits)
    assert report_again == report


@given(st.lists(st.tuples(st.sampled_from(["A1", "A2"]), st.sampled_from("wxyz")), min_size=1, max_size=150))
def test_without_groups_levels_are_exact_and_cells_even(cells):
    documents = corpus(*[(level, l1, str(n)) for n, (level, l1) in enumerate(cells)])
    splits, report = assign_splits(documents, 0)
    assert report.misses == {}
    for _, cell in splits.groupby([documents["cefr_level"], documents["l1"]]):
        level = documents["cefr_level"][cell.index[0]]
        share = report.targets[level]["train"] / Counter(documents["cefr_level"])[level]
        assert abs((cell == "train").sum() - share * len(cell)) < 1
