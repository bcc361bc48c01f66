import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from ilm.corpus.sampling import apportion, level_quotas, stratified_sample
from ilm.hashing import order_key

EFCAMDAT = {"A1": 341155, "A2": 215344, "B1": 116539, "B2": 40238, "C1": 10006}


def corpus(counts: dict[tuple[str, str], int]) -> pd.DataFrame:
    """counts: (level, L1) -> number of documents."""
    cells = [cell for cell, count in counts.items() for _ in range(count)]
    return pd.DataFrame(
        {
            "writing_id": [f"w{n:05}" for n in range(len(cells))],
            "l1": [l1 for _, l1 in cells],
            "cefr_level": [level for level, _ in cells],
            "text": [f"text {n}" for n in range(len(cells))],
        },
        dtype="str",
    )


def test_apportion_by_largest_remainder():
    # shares 4.8 and 3.2: one seat is left, for the larger remainder
    assert apportion(8, {"x": 6, "y": 4}) == {"x": 5, "y": 3}
    # 2/3 each: equal remainders, so by name, whatever the order
    assert apportion(2, {"c": 5, "b": 5, "a": 5}) == {"a": 1, "b": 1, "c": 0}
    assert apportion(0, {"a": 0}) == {"a": 0}


cells = st.dictionaries(st.text("abc", min_size=1), st.integers(0, 60), min_size=1, max_size=6)


@given(cells, st.data())
def test_apportion_shares_all_seats_and_stays_within_one_of_the_exact_share(sizes, data):
    total = sum(sizes.values())
    seats = data.draw(st.integers(0, total))
    shares = apportion(seats, sizes)
    assert sum(shares.values()) == seats
    for name, size in sizes.items():
        assert 0 <= shares[name] <= size
        assert abs(shares[name] * total - seats * size) < max(total, 1)


def test_the_quotas_of_efcamdat():
    assert level_quotas(100, EFCAMDAT) == {"A1": 47, "A2": 29, "B1": 16, "B2": 5, "C1": 1}
    assert level_quotas(10, EFCAMDAT) == {"A1": 4, "A2": 2, "B1": 1, "B2": 1, "C1": 1}


def test_sample_by_level_and_l1():
    documents = corpus({("A1", "x"): 60, ("A1", "y"): 30, ("B2", "x"): 9, ("B2", "y"): 1})
    sample = stratified_sample(documents, 20, seed=3)
    # A1 18 = 12 + 6; B2 2: shares 1.8 and 0.2
    assert sample.groupby(["cefr_level", "l1"]).size().to_dict() == {("A1", "x"): 12, ("A1", "y"): 6, ("B2", "x"): 2}
    assert sample["writing_id"].is_monotonic_increasing
    assert list(sample.index) == list(range(20))
    first = min((f"w{n:05}" for n in range(90, 99)), key=lambda name: order_key(3, "sample", name))
    assert first in set(sample["writing_id"])


def test_size_of_the_corpus_or_more_gives_everything():
    documents = corpus({("A1", "x"): 7})
    for size in (7, 8, 100):
        assert stratified_sample(documents.iloc[::-1], size, seed=0).equals(documents)


@given(
    st.dictionaries(st.tuples(st.sampled_from(["A1", "A2", "B1"]), st.sampled_from("xyz")), st.integers(1, 30)),
    st.integers(1, 100),
    st.integers(0, 3),
    st.randoms(),
)
def test_a_sample_does_not_depend_on_the_order_of_the_rows(counts, size, seed, shuffler):
    documents = corpus(counts)
    order = list(range(len(documents)))
    shuffler.shuffle(order)
    sample = stratified_sample(documents, size, seed)
    assert stratified_sample(documents.iloc[order], size, seed).equals(sample)
    assert sample["writing_id"].is_unique
    assert set(sample["cefr_level"]) == set(documents["cefr_level"]), "no level is lost"
    assert abs(len(sample) - min(size, len(documents))) < 3


def test_a_larger_sample_contains_the_smaller_one_within_a_cell():
    documents = corpus({("A1", "x"): 50})
    small, large = (set(stratified_sample(documents, size, seed=1)["writing_id"]) for size in (10, 20))
    assert small < large
    assert small != set(stratified_sample(documents, 10, seed=2)["writing_id"])
