"""task=surprisal as it is typed: its table and report, how it goes on after a kill, and mistakes in one message."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from evaluate import evaluate
from ilm.errors import UserError
from ilm.evaluation.surprisal import scoring
from ilm.evaluation.surprisal.words import word_beginnings
from ilm.examples.conditions import prefix_tokens, store_condition
from ilm.infilling.infiller import Infiller
from ilm.models.loading import save_model
from ilm.runs.trained_model import TrainedModel
from tests.conftest import compose, write_csv
from tests.infilling.small_models import random_model, vocabulary

ROWS = [
    {"id": "s1", "participant": "p1", "text": "She ate leftover pasta for lunch. It was “good”!"},
    {"id": "s2", "participant": "p1", "text": "My family plays tennis\nand I eat an apple."},
    {"id": "s3", "participant": "p2", "text": "I NA like null it"},
]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A file of texts without levels, and the folders of two models."""
    root = tmp_path_factory.mktemp("surprisal")
    write_csv(root / "texts.csv", ROWS)
    words = vocabulary()
    for name, scale in (("one", 0.3), ("two", 0.2)):
        save_model(random_model("gpt2", words.size, scale=scale), words, root / name)
    return root


def surprisal(root: Path, results: Path, *overrides: str) -> pd.DataFrame:
    common = (f"paths.data={root}", f"paths.experiments={root}", f"paths.results={results}", "task=surprisal")
    cfg, choices = compose("evaluate", *common, f"input={root / 'texts.csv'}", *overrides)
    return evaluate(cfg, choices)


def models(root: Path, *names: str) -> str:
    return f"models=[{','.join(str(root / name) for name in names)}]"


def read_words(folder: Path) -> pd.DataFrame:
    """As docs/surprisal.md reads it."""
    return pd.read_csv(folder / "words.csv", keep_default_na=False, na_values=[""])


@pytest.fixture(scope="module")
def result(root, tmp_path_factory) -> Path:
    """The results folder of both models."""
    results = tmp_path_factory.mktemp("results")
    surprisal(root, results, models(root, "one", "two"), "name=both")
    return results / "both"


def test_a_row_a_word_and_model(result):
    table = read_words(result)
    assert table.columns.tolist() == [
        *("model", "trained_on", "seed", "writing_id", "cefr_level", "l1", "word_index", "nltk_index"),
        *("sentence_index", "start", "length", "word", "previous_word", "word_length", "unigram_bits", "tokens"),
        *("shares_token", "surprisal_bits", "surprisal_corrected_bits", "infill_bits", "infill_end_bits"),
    ]
    for name in ("one", "two"):
        own = table[table["model"] == name]
        assert own["word"].tolist() == [word for row in ROWS for word in row["text"].split()]
        first = own["word_index"] == 0
        assert own["surprisal_bits"].isna().tolist() == first.tolist()
        assert own["surprisal_corrected_bits"].isna().tolist() == first.tolist()
        assert own["previous_word"].isna().tolist() == first.tolist()
        assert (own["infill_bits"] > 0).all()
    assert table["cefr_level"].isna().all()
    assert table["unigram_bits"].isna().all()  # no corpus is prepared here


def test_masked_words_are_those_of_the_infiller(root, result):
    table = read_words(result)
    infiller = Infiller.from_pretrained(root / "two", "cpu")
    own = table[(table["model"] == "two") & (table["writing_id"] == "s2")]
    for row in own.itertuples():
        text = ROWS[1]["text"]
        context = f"{text[: row.start]}[word]{text[row.start + row.length :]}"
        expected = -infiller.score(context, [row.word]) / math.log(2)
        assert row.infill_bits + row.infill_end_bits == pytest.approx(expected, abs=1e-4)


def test_the_summary_and_the_report_say_what_was_taken(root, result):
    report = json.loads((result / "report.json").read_text(encoding="utf-8"))
    table = read_words(result)
    for row in report["results"]["models"]:
        own = table[table["model"] == row["model"]]
        assert row["words"] == len(own)
        assert row["unscored_words"] == len(ROWS)
        for name in ("surprisal_bits", "surprisal_corrected_bits", "infill_bits", "infill_end_bits"):
            assert row[name] == pytest.approx(own[name].mean(), abs=1e-5)
        assert 0 < row["probability_taken"] < 1
    assert report["unigrams"]["why_none"].startswith("no corpus")
    assert {name: of["max_length"] for name, of in report["models"].items()} == {"one": 96, "two": 96}
    assert "| one " in (result / "models.md").read_text(encoding="utf-8")


def test_a_mixed_model_reads_the_table(result):
    formula = pytest.importorskip("statsmodels.formula.api", reason="statsmodels comes with the extra dev")
    table = read_words(result)
    data = table[(table["model"] == "one") & table["surprisal_bits"].notna()]
    times = 300 + 5 * data["surprisal_bits"] + np.random.default_rng(0).normal(0, 1, len(data))
    fitted = formula.mixedlm("rt ~ surprisal_bits + word_length", data.assign(rt=times), groups="writing_id").fit()
    assert fitted.params["surprisal_bits"] == pytest.approx(5, abs=0.5)


def test_without_renormalising_it_is_what_minicons_says(root, tmp_path):
    scorer = pytest.importorskip("minicons.scorer", reason="minicons comes with the extra dev")
    options = ("task.renormalise=false", "task.infill=false", "name=plain")
    surprisal(root, tmp_path, models(root, "one"), *options)
    table = read_words(tmp_path / "plain")
    assert not {"infill_bits", "infill_end_bits"} & {*table.columns}
    model, words = TrainedModel("one", root / "one").load()
    oracle = scorer.IncrementalLMScorer(model, "cpu", tokenizer=words.tokenizer)
    begins = {*word_beginnings(words).tolist()}
    # For minicons a space alone begins a word, and not a line break or the end of a text.
    oracle.bow_subwords = {number: number in begins for number in range(words.size)}
    oracle.bow_subword_idx = sorted(begins)
    options = {"surprisal": True, "base_two": True}
    for column, correction, first in (("surprisal_bits", False, 1), ("surprisal_corrected_bits", True, 2)):
        found = oracle.token_score([row["text"] for row in ROWS], bow_correction=correction, **options)
        for row, tokens in zip(ROWS, found, strict=True):
            own = table[table["writing_id"] == row["id"]]
            ends = np.cumsum(own["tokens"].to_numpy())
            assert ends[-1] == len(tokens)
            values = [part.sum() for part in np.split([value for _, value in tokens], ends[:-1])]
            # It does not correct what comes before the second word.
            assert own[column].to_numpy()[first:] == pytest.approx(values[first:], abs=1e-4)


def test_a_killed_run_goes_on_and_writes_the_same(root, result, tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "TEXTS_MASKED_AT_ONCE", 1)
    monkeypatch.setattr("ilm.evaluation.scores.SECONDS_PER_PART", 0.0)
    masked, asked = scoring.Reader.mask, []

    def killed(reader, texts, told):
        for batch in masked(reader, texts, told):
            yield batch
            raise KeyboardInterrupt

    def counted(reader, texts, told):
        asked.append(texts["writing_id"].tolist())
        return masked(reader, texts, told)

    monkeypatch.setattr(scoring.Reader, "mask", killed)
    with pytest.raises(KeyboardInterrupt):
        surprisal(root, tmp_path, models(root, "one", "two"), "name=both")
    assert not (tmp_path / "both" / "words.csv").exists()
    monkeypatch.setattr(scoring.Reader, "mask", counted)
    surprisal(root, tmp_path, models(root, "one", "two"), "name=both")
    assert asked == [["s2", "s3"], ["s1", "s2", "s3"]]
    pd.testing.assert_frame_equal(read_words(tmp_path / "both"), read_words(result), atol=1e-5)
    # All is kept now: no model is loaded again, whatever the format.
    monkeypatch.setattr(TrainedModel, "load", lambda model: pytest.fail(f"{model.name} is loaded"))
    surprisal(root, tmp_path, models(root, "one", "two"), "name=both", "task.format=parquet")
    table = pd.read_parquet(tmp_path / "both" / "words.parquet")
    assert table.columns.tolist() == read_words(result).columns.tolist()
    assert table["word"].tolist() == read_words(result)["word"].tolist()


def test_a_prepared_split_has_levels_and_unigrams(root, prepared, tmp_path):
    options = ("corpus=custom", "corpus.name=small", f"paths.data={prepared}", "input=null", "limit=1", "name=split")
    surprisal(root, tmp_path, models(root, "one"), "task.infill=false", *options)
    table = read_words(tmp_path / "split")
    assert table["cefr_level"].unique().tolist() == ["A1", "A2", "B1", "B2", "C1"]
    assert table["writing_id"].nunique() == 5
    assert (table["unigram_bits"] > 0).all()
    texts = pd.read_parquet(prepared / "small" / "documents.parquet").set_index("writing_id")
    own = table[table["writing_id"] == table["writing_id"].iloc[0]]
    assert texts.loc[own["writing_id"].iloc[0], "text"].split() == own["word"].tolist()
    assert texts.loc[own["writing_id"].iloc[0], "split"] == "test"


def test_a_conditioned_model_is_told_the_level(root, tmp_path):
    words = vocabulary()
    model = random_model("gpt2", words.size)
    store_condition(model.config, {"cefr_level": ["A1", "B1"]})
    save_model(model, words, root / "told")
    write_csv(root / "levels.csv", [{**row, "cefr_level": "B1", "l1": "French"} for row in ROWS])
    options = (f"input={root / 'levels.csv'}", models(root, "told"))
    for condition in ("own", "none", "B1"):
        surprisal(root, tmp_path, *options, f"task.condition={condition}", f"name={condition}")
    own, none, given = (read_words(tmp_path / name) for name in ("own", "none", "B1"))
    columns = ["surprisal_bits", "infill_bits"]
    pd.testing.assert_frame_equal(own, given)
    assert (own[columns] - none[columns]).abs().max().min() > 0.01
    assert own["surprisal_bits"].isna().equals(none["surprisal_bits"].isna())
    told = prefix_tokens({"cefr_level": "B1"}, words)
    ids = words.encode(ROWS[2]["text"])
    with torch.no_grad():
        logits = model(torch.tensor([[*told, *ids]])).logits[0, :, : words.base_size]
    bits = -logits.log_softmax(-1) / math.log(2)
    last = own[own["writing_id"] == "s3"].iloc[-1]
    expected = sum(float(bits[len(told) + at - 1, ids[at]]) for at in range(len(ids) - last["tokens"], len(ids)))
    assert last["surprisal_bits"] == pytest.approx(expected, abs=1e-4)
    with pytest.raises(UserError, match=r"task\.condition=C1: expected own, none or a level"):
        surprisal(root, tmp_path, *options, "task.condition=C1")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["task.max_length=200"], "task.max_length=200 is more than the 96 tokens the model can read"),
        (["task.max_length=8"], "task.max_length=8: .*16"),
        (["task.format=xlsx"], "task.format=xlsx: .*csv"),
        (["task.split=valid"], "task.split is for prepared texts"),
        (["task.levels=[B1]"], "has no texts of level B1"),
        (["task.device=cuda"], "task.device=cuda cannot be used"),
    ],
)
def test_mistakes_are_one_message_before_anything_is_written(root, tmp_path, overrides, message):
    if "task.device=cuda" in overrides and torch.cuda.is_available():
        pytest.skip("a GPU is here")
    with pytest.raises(UserError, match=message):
        surprisal(root, tmp_path, models(root, "one"), *overrides)
    assert not any(tmp_path.iterdir())


def test_a_folder_of_something_else_is_refused_before_a_model_is_loaded(root, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine", encoding="utf-8")
    monkeypatch.setattr(TrainedModel, "load", lambda model: pytest.fail(f"{model.name} is loaded"))
    with pytest.raises(UserError, match="holds no report"):
        surprisal(root, tmp_path, models(root, "one"), "name=mine")


def test_a_model_without_a_blank_for_words_has_no_infill_bits(root, tmp_path):
    words = vocabulary(("sentence",))
    save_model(random_model("gpt2", words.size), words, root / "sentences")
    surprisal(root, tmp_path, models(root, "sentences", "one"), "name=mixed")
    table = read_words(tmp_path / "mixed")
    assert table.groupby("model")["infill_bits"].count().to_dict() == {
        "one": sum(len(row["text"].split()) for row in ROWS),
        "sentences": 0,
    }
