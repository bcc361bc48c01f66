"""task=levels as it is typed: what it writes, how it resumes after a kill, and every mistake in one message."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from evaluate import evaluate
from ilm.errors import UserError
from ilm.evaluation import scores
from ilm.evaluation.levels import scoring
from ilm.evaluation.levels.scoring import document_windows
from ilm.examples.layout import TargetType, lay_out
from ilm.models.left_to_right import score_texts
from ilm.models.scoring import score
from ilm.runs.trained_model import model_in
from prepare import prepare
from tests.conftest import compose, rows_of_small_corpus, write_csv
from tests.evaluation.cloze.cloze_models import byte_level_tokenizer, saved
from train import train

SIZES = {"A1": 90, "B1": 90, "C1": 6}
LEVELS = ("A1", "B1", "C1")
WINDOW = 96  # tokens: most texts are longer


@pytest.fixture(autouse=True)
def without_plots(monkeypatch):
    """Only the module's own fixture `whole` writes its plots."""
    monkeypatch.setattr("ilm.evaluation.levels.report.write_figures", lambda *args: None)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A corpus whose levels nothing tells apart, with learners of two texts; runs on A1 and B1 from one base model."""
    root = tmp_path_factory.mktemp("levels")
    rows = [{**row, "learner_id": f"{row['cefr_level']}-{n // 2}"} for n, row in enumerate(rows_of_small_corpus(SIZES))]
    path = write_csv(root / "mine.csv", rows)
    options = [*places(root), "masking.masks_per_document=1"]
    prepare(compose("prepare", *options, f"corpus.csv={path}", "num_workers=1")[0])
    tokenizer = byte_level_tokenizer()
    size = {"n_layer": 1, "n_embd": 16, "n_head": 2, "n_positions": 128}
    saved(root / "base", GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **size)), tokenizer)
    options += ["experiment=debug", "model=custom", f"model.path={root / 'base'}", "data.max_length=64"]
    options += ["data.num_workers=0", "logger=none", "trainer.max_steps=1", "data.batch_size=4"]
    for level in ("A1", "B1"):
        train(*compose("train", *options, f"cefr={level}", f"name={level}"))
    return root


def places(root: Path) -> list[str]:
    return ["corpus=custom", "corpus.name=mine", *(f"paths.{name}={root / name}" for name in ("data", "experiments"))]


def run(root: Path, results: Path, *more: str) -> tuple[pd.DataFrame, Path]:
    options = [
        "task=levels",
        "task.resamples=100",
        f"task.max_length={WINDOW}",
        "name=test",
        f"paths.results={results}",
    ]
    frame = evaluate(*compose("evaluate", *places(root), *options, *more))
    return frame, results / "test"


def report_of(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory) -> Path:
    """The results on the test split, with masks. Never write here."""
    return run(root, tmp_path_factory.mktemp("results"), "task.masks=1")[1]


def test_what_is_written(whole):
    files = {path.name for path in whole.iterdir()}
    assert {"report.json", "levels.md", "levels.tex", "levels.csv", "predictions.csv", "features.parquet"} <= files
    assert {"reliability.png", "reliability.pdf", "confusion.png", "confusion.pdf", "levels.log"} <= files
    report, levels = report_of(whole), pd.read_csv(whole / "levels.csv")
    assert list(report["models"]) == ["A1", "B1", "native"]
    assert report["unit"] == "learner"
    assert levels["system"].unique().tolist() == [
        *("posterior", "rounded expectation", "lowest loss"),
        *("majority", "length", "unigram", "TF-IDF"),
    ]
    differences = pd.read_csv(whole / "differences.csv").set_index(["system", "metric"])["difference"]
    accuracies = levels.query("metric == 'accuracy' and texts == 'all'").set_index("system")["value"]
    for system in ("majority", "length", "unigram", "TF-IDF"):
        assert differences[system, "accuracy"] == pytest.approx(accuracies["posterior"] - accuracies[system])
    predictions = pd.read_csv(whole / "predictions.csv")
    assert len(predictions) == report["texts_counted"]["scored"] == levels["n"].max()
    np.testing.assert_allclose(predictions[[f"p_{level}" for level in LEVELS]].sum(axis=1), 1)
    confusion = pd.read_csv(whole / "confusion.csv").query("system == 'posterior'")
    right = confusion.loc[confusion["level"] == confusion["predicted"], "n"].sum()
    accuracy = levels.query("system == 'posterior' and metric == 'accuracy' and texts == 'all'")["value"].item()
    assert accuracy == pytest.approx(right / confusion["n"].sum())


def test_levels_that_nothing_tells_apart_are_told_at_chance(whole):
    (warning,) = report_of(whole)["warnings"]
    assert warning.startswith("AT CHANCE")
    assert "AT CHANCE" in (whole / "levels.log").read_text(encoding="utf-8")


def test_features_are_those_of_each_text(root, whole):
    features = pd.read_parquet(whole / "features.parquet").set_index("writing_id")
    documents = pd.read_parquet(root / "data" / "mine" / "documents.parquet").set_index("writing_id")
    assert set(features["split"]) == {"test", "valid"}
    assert (documents["split"].reindex(features.index) == features["split"]).all()
    assert not features.index.has_duplicates
    model = model_in(root / "experiments" / "A1")
    network, vocabulary = model.load()
    for writing_id in features.index[[0, 7, -1]]:
        ids = np.array(vocabulary.encode(documents.loc[writing_id, "text"]))
        options = {"window": WINDOW, "row_tokens": 2048, "device": network.device, "kept": vocabulary.base_size}
        (alone,) = score_texts(network, [ids], **options)
        row = features.loc[writing_id]
        assert row["tokens"] == len(ids)
        assert row["A1"] == pytest.approx(np.nanmean(alone.nll), rel=1e-4)
        thirds = np.array_split(alone.nll, [-(-len(ids) // 3), -(-2 * len(ids) // 3)])
        assert row[["A1_third1", "A1_third2", "A1_third3"]].tolist() == pytest.approx(
            [np.nanmean(third) for third in thirds], rel=1e-4
        )
    # The base model is scored as transformers loads it from its folder, over its whole vocabulary.
    base = GPT2LMHeadModel.from_pretrained(root / "base").eval()
    short = features.index[features["tokens"] <= WINDOW][0]
    ids = torch.tensor([vocabulary.encode(documents.loc[short, "text"])])
    with torch.no_grad():
        assert features.loc[short, "native"] == pytest.approx(base(ids, labels=ids).loss.item(), rel=1e-4)
    masked = {column for column in features if column.startswith("A1_") and "third" not in column}
    assert masked <= {f"A1_{name}" for name in ("document", "paragraph", "sentence", "ngram", "word")}
    assert "A1_word" in masked
    assert not [column for column in features if column.startswith("native_") and "third" not in column]


def test_a_killed_scoring_goes_on(root, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(scores, "SECONDS_PER_PART", 0.0)
    monkeypatch.setattr(scoring, "_TEXTS_AT_ONCE", 4)
    scored, real = [], scoring.score_texts

    def counted(network, texts, **options):
        if len(scored) == 3:
            scored.append(0)
            raise KeyboardInterrupt
        scored.append(len(texts))
        return real(network, texts, **options)

    monkeypatch.setattr(scoring, "score_texts", counted)
    with pytest.raises(KeyboardInterrupt):
        run(root, tmp_path)
    assert list(tmp_path.glob("scores/A1/*/parts/*"))
    before = sum(scored)
    frame, folder = run(root, tmp_path)
    features, uninterrupted = (pd.read_parquet(f / "features.parquet") for f in (folder, whole))
    assert sum(scored) == 3 * len(features)  # three models: no text twice
    assert before == 12
    columns = ["A1", "B1", "native", "tokens"]
    np.testing.assert_allclose(features[columns], uninterrupted[columns], rtol=1e-5)
    count = len(scored)
    assert run(root, tmp_path)[0].equals(frame)
    assert len(scored) == count


def file_of(path: Path, rows: list[dict[str, str]]) -> Path:
    return write_csv(path, rows)


def test_a_file_without_levels_is_copied_with_columns(root, tmp_path):
    rows = [
        {"id": f"x{n}", "essay": row["text"], "note": f"n,{n}"} for n, row in enumerate(rows_of_small_corpus({"A1": 9}))
    ]
    rows[4]["essay"] = " "  # no text: dropped, but a row of the copy
    path = file_of(tmp_path / "my.csv", rows)
    frame, folder = run(root, tmp_path / "results", f"input={path}", "corpus.max_dropped=0.2")
    assert frame.empty
    copy = pd.read_csv(folder / "my_levels.csv")
    assert list(copy) == ["id", "essay", "note", "p_A1", "p_B1", "p_C1", "predicted_level", "predicted_probability"]
    assert copy["id"].tolist() == [row["id"] for row in rows]
    assert copy["note"].tolist() == [row["note"] for row in rows]
    assert copy["predicted_level"].isna().tolist() == [n == 4 for n in range(9)]
    kept = copy.dropna(subset="p_A1")
    np.testing.assert_allclose(kept[["p_A1", "p_B1", "p_C1"]].sum(axis=1), 1)
    np.testing.assert_allclose(kept[["p_A1", "p_B1", "p_C1"]].max(axis=1), kept["predicted_probability"])
    # Another order of the rows: every text keeps what was said of it.
    shuffled = file_of(tmp_path / "other.csv", rows[::-1])
    _, folder = run(root, tmp_path / "again", f"input={shuffled}", "corpus.max_dropped=0.2")
    again = pd.read_csv(folder / "other_levels.csv").set_index("id").loc[copy["id"]].reset_index()
    pd.testing.assert_frame_equal(copy, again, rtol=1e-4)


def test_another_corpus_zero_shot_and_in_folds(root, tmp_path):
    rows = [
        {"id": row["writing_id"], "cefr": row["cefr_level"], "essay": row["text"] + "!", "learner_id": f"l{n // 2}"}
        for n, row in enumerate(rows_of_small_corpus({"A1": 14, "B1": 14, "C2": 12}))
    ]
    frame, folder = run(root, tmp_path / "results", f"input={file_of(tmp_path / 'other.csv', rows)}")
    accuracy = frame.query("metric == 'accuracy'").set_index(["protocol", "system", "texts"])
    # Models of A1 to C1 know no C2: its texts are errors, then left out. In folds it is a level as others.
    assert accuracy.loc[("zero-shot", "posterior", "all"), "n"] == 40
    assert accuracy.loc[("zero-shot", "posterior", "levels it can say"), "n"] == 28
    assert accuracy.loc[("90-10", "posterior", "all"), "n"] == 40
    assert ("90-10", "posterior", "levels it can say") not in accuracy.index
    ratio = {texts: accuracy.loc[("zero-shot", "posterior", texts), "value"] for texts in ("all", "levels it can say")}
    assert ratio["all"] == pytest.approx(ratio["levels it can say"] * 28 / 40)
    assert report_of(folder)["unknown_levels"] == ["C2"]
    assert len(pd.read_csv(folder / "predictions.csv")) == 80


def test_texts_trained_on_are_told(root, tmp_path):
    documents = pd.read_parquet(root / "data" / "mine" / "documents.parquet")
    shared = [*documents.query("split == 'train'")["text"][:3], *documents.query("split == 'valid'")["text"][:2]]
    rows = [{"id": f"x{n}", "text": text} for n, text in enumerate(shared)]
    _, folder = run(root, tmp_path / "results", f"input={file_of(tmp_path / 'my.csv', rows)}")
    report = report_of(folder)
    assert report["models"]["A1"]["texts_seen_in_training"] == 3
    assert "A1 was trained on 3 of these texts: its figures are no test of it." in report["warnings"][0]
    assert report["fit"]["left_out"] == 2  # the posterior is not fitted on texts that it predicts


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["models=[A1]"], r"there are only those of A1\. Train another \(python train.py .* cefr=LEVEL\)"),
        (["task.split=valid"], "the posterior is fitted on these texts"),
        (["task.max_length=500"], "task.max_length=500 is more than the 128 tokens the model can read"),
        (["cefr=A1"], "cefr=A1 takes the models of one level"),
    ],
)
def test_mistakes(root, tmp_path, options, expected):
    with pytest.raises(UserError, match=expected):
        run(root, tmp_path, *options)
    assert not (tmp_path / "test").exists()


def test_a_column_that_would_be_overwritten(root, tmp_path):
    path = file_of(tmp_path / "my.csv", [{"id": "a", "text": "x y", "p_A1": "1"}])
    with pytest.raises(UserError, match="already has the columns to be added: p_A1"):
        run(root, tmp_path / "results", f"input={path}")


def test_the_answer_of_a_document_blank_is_scored_once_in_windows(root):
    network, vocabulary = model_in(root / "experiments" / "A1").load()
    ids = np.arange(40)
    (short,) = document_windows(ids, vocabulary, 64)
    document = vocabulary.mask_types.index("document")
    expected = lay_out(ids, [(document, 0, 40)], vocabulary, "ilm", 64)
    assert short.input_ids.tolist() == expected.input_ids.tolist()
    nll = score(network, [expected], 64, network.device).nll
    np.testing.assert_allclose(score(network, [short], 64, network.device).nll, nll, rtol=1e-6)
    windows = list(document_windows(ids, vocabulary, 20))
    answered = [w.input_ids[w.target_types == TargetType.INFILL] for w in windows]
    assert np.concatenate(answered).tolist() == [*ids, vocabulary.end_of_infill]
    assert all(w.input_ids[:2].tolist() == short.input_ids[:2].tolist() for w in windows)
    assert all(len(w.input_ids) <= 20 for w in windows)
    assert all(len(w.input_ids) - 2 - len(a) >= 9 for w, a in zip(windows[1:], answered[1:], strict=True))


def test_the_likelihood_of_a_document(root, whole, tmp_path):
    _, folder = run(root, tmp_path, "task.likelihood=document", "limit=2")
    features = pd.read_parquet(folder / "features.parquet").set_index("writing_id")
    left_to_right = pd.read_parquet(whole / "features.parquet").set_index("writing_id").loc[features.index]
    assert (features["A1"] != left_to_right["A1"]).all()
    np.testing.assert_allclose(features["native"], left_to_right["native"], rtol=1e-5)  # which knows no blanks
