"""Evaluation as it is typed: on another corpus, with masks by name, of model folders, in the reference's way."""

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from transformers import GPT2Config

from evaluate import evaluate
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.evaluation.perplexity import task
from ilm.examples.dataset import InfillingDataset
from ilm.examples.token_store import TokenStore
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.examples.vocabulary import Vocabulary
from ilm.masking.store import MaskStore
from ilm.models.loading import add_special_rows, load_tokenizer, new_model, save_model
from ilm.reference.models import write_reference_model
from prepare import prepare
from tests.conftest import SMALL_MODEL, compose, rows_of_small_corpus, write_csv
from train import train

pytestmark = pytest.mark.usefixtures("without_figures")

SIZES = {"A1": 30, "A2": 20, "B1": 20, "B2": 10, "C1": 10}
MASKS = 3


def rows() -> list[dict[str, str]]:
    return [{**row, "text_corrected": row["text"].upper()} for row in rows_of_small_corpus(SIZES)]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A corpus `mine` and a test-only one `other` beside it, and a run on `mine`, of level all."""
    root = tmp_path_factory.mktemp("evaluation")
    # Texts of A1 that stand in `mine` too, and others.
    others = rows_of_small_corpus({"A1": 4, "C1": 3, "C2": 5})
    texts = [row["text"] if row["cefr_level"] == "A1" else row["text"] + "!" for row in others]
    levels = [row["cefr_level"] for row in others]
    extra = write_csv(root / "other.csv", [{"cefr": c, "text": t} for c, t in zip(levels, texts, strict=True)])
    path = write_csv(root / "mine.csv", rows())
    prepare(compose("prepare", *chosen(root), f"corpus.csv={path}", f"corpus.extra=[{extra}]", "num_workers=1")[0])
    options = [*SMALL_MODEL, "trainer.max_steps=2", "data.batch_size=4", "logger=none", "name=run"]
    train(*compose("train", *chosen(root), *options))
    return root


def chosen(root: Path) -> list[str]:
    folders = [f"paths.{name}={root / name}" for name in ("data", "experiments")]
    return ["corpus=custom", "corpus.name=mine", *folders, *masks_option()]


def masks_option() -> list[str]:
    return [f"masking.masks_per_document={MASKS}"]


def evaluated(root: Path, results: Path, *more: str) -> tuple[pd.DataFrame, dict, Path]:
    """What an evaluation returns, its report, and its folder."""
    options = [option for option in chosen(root) if not option.startswith("masking")]
    quick = [] if any(option.startswith("task=") for option in more) else ["task.also_score=null"]
    cfg, choices = compose("evaluate", *options, f"paths.results={results}", *quick, *more)
    frame = evaluate(cfg, choices)
    (folder,) = (path for path in results.iterdir() if path.name != "scores")
    return frame, json.loads((folder / "report.json").read_text()), folder


def overall(frame: pd.DataFrame, kind: str = "infill") -> pd.DataFrame:
    return frame[(frame["mask_type"] == "all") & (frame["kind"] == kind)].set_index("level")


# Another corpus -------------------------------------------------------------------------------------------------------


def test_models_of_one_corpus_on_another(root, tmp_path, capsys):
    frame, report, folder = evaluated(root, tmp_path, "task.corpus=other")
    corpora = [PreparedCorpus.open(root / "data" / name) for name in ("other", "mine")]
    assert folder.name == "mine_on_other_perplexity"
    found = overall(frame)
    assert list(found.index) == ["A1", "C1", "C2", "all"]
    assert found["documents"].to_dict() == {"A1": 4, "C1": 3, "C2": 5, "all": 12}
    assert (report["source"]["name"], report["source"]["documents_hash"]) == ("other", corpora[0].documents_hash)
    origin = report["training_corpus"]
    assert (origin["corpus"], origin["documents_hash"]) == ("mine", corpora[1].documents_hash)
    train_texts = corpora[1].documents.query("split == 'train'")["text"]
    shared = int(corpora[0].documents["text"].isin(train_texts).sum())
    assert (origin["shared"]["texts"], origin["shared"]["documents"]) == (shared, 12)
    said = f"models trained on mine, whose training split has {shared} of these texts"
    assert said in (folder / "perplexity.md").read_text()
    assert "models trained on mine" in " ".join(capsys.readouterr().out.split())
    assert set(pd.read_csv(folder / "perplexity.csv")["corpus"]) == {"other"}


def test_one_level_of_another_corpus(root, tmp_path):
    frame, report, _ = evaluated(root, tmp_path, "task.corpus=other", "task.levels=[A1]")
    assert list(overall(frame).index) == ["A1"]
    assert report["training_corpus"]["shared"]["documents"] == 4


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["task.corpus=nope"], "holds no prepared corpus"),
        (["corpus.name=other"], r"test-only data.*task.corpus=other"),
        (["task.corpus=other", "task.split=valid"], "has no level with documents in valid"),
        (["task.corpus=other", "task.levels=[B1]"], "level B1 has no documents"),
        (["task.masks=words"], "holds no such masks.*hierarchical-"),
        (["task.max_length=100000"], r"task\.max_length=100000 is more than the \d+ tokens"),
        (["task.drop_last=true", "task.batch_size=1000"], "no example is left"),
        (["task.fitting=naive", "task.max_length=3"], "no example is left"),
    ],
)
def test_what_cannot_be_evaluated(root, tmp_path, more, message):
    with pytest.raises(UserError, match=message):
        evaluated(root, tmp_path, *more)
    assert list(tmp_path.iterdir()) == []


def test_masks_that_the_other_corpus_lacks(root, tmp_path):
    """`other` has masks of the masking it was prepared with; the run has another."""
    options = [*SMALL_MODEL, "trainer.max_steps=1", "data.batch_size=4", "logger=none", "name=words", "masking=words"]
    prepare(compose("prepare", *chosen(root), f"corpus.csv={root / 'mine.csv'}", "masking=words", "num_workers=1")[0])
    train(*compose("train", *chosen(root), *options))
    with pytest.raises(UserError, match=r"corpus\.extra again, with masking=words"):
        evaluated(root, tmp_path, "task.corpus=other", "models=[words]")
    with pytest.raises(UserError, match=r"was trained on the mask types word, not document"):
        evaluated(root, tmp_path, "task.corpus=other", "models=[words]", "task.masks=hierarchical")


def test_test_only_data_are_not_trained_on(root):
    options = [*SMALL_MODEL, "trainer.max_steps=1", "corpus.name=other"]
    with pytest.raises(UserError, match="test-only data"):
        train(*compose("train", *chosen(root), *options))


# The reference's way --------------------------------------------------------------------------------------------------


def test_only_examples_whose_naive_row_fits(root, tmp_path):
    options = ["models=[run]", "task.max_length=100"]
    whole, _, _ = evaluated(root, tmp_path / "whole", *options)
    fitting, _, folder = evaluated(root, tmp_path / "fitting", *options, "task.fitting=naive")
    left_out = int(fitting["unfitting_examples"].iloc[0])
    assert left_out > 0
    assert overall(fitting).loc["all", "examples"] + left_out == overall(whole).loc["all", "examples"]
    assert overall(fitting).loc["all", "cut"] == 0 < overall(whole).loc["all", "cut"]
    assert f"{left_out} left out, since their naive row is longer" in (folder / "perplexity.md").read_text()


def test_which_examples_fit_is_counted_on_rows_that_are_laid_out(root):
    corpus = PreparedCorpus.open(root / "data" / "mine")
    masks = MaskStore.open(next((corpus.folder / "masks").glob("hierarchical-*")))
    vocabulary = Vocabulary.of_trained(load_tokenizer(str(root / "experiments" / "run" / "model")))
    tokens = TokenStore.open_or_make(corpus.folder / "tokens", corpus, vocabulary, "bpe400")
    rows = corpus.rows("train", ["A1", "B2"])

    def store(objective: str, **options) -> InfillingDataset:
        return InfillingDataset(
            rows, masks.splits["train"], tokens, vocabulary, objective=objective, max_length=100, **options
        )

    whole, naive = store("ilm"), store("naive")
    fits = [number for number in range(len(naive)) if naive[number].full_length <= 100]
    for objective in ("ilm", "naive", "lm"):
        fitting = store(objective, fitting="naive")
        assert all(np.array_equal(a, b) for a, b in zip(fitting.keys(), whole.keys(fits), strict=True))
        assert (fitting.unfitting, fitting.dropped) == (len(whole) - len(fits), whole.dropped)
        assert 0 < fitting.unfitting < len(whole)
        assert fitting.cuts["cut"].sum() == 0 == whole.unfitting


def test_the_last_partial_batch_is_left_out(root, tmp_path):
    whole, _, _ = evaluated(root, tmp_path / "whole", "models=[run]", "task.batch_size=8")
    options = ["models=[run]", "task.batch_size=8", "task.drop_last=true"]
    dropped, _, folder = evaluated(root, tmp_path / "dropped", *options)
    before, after = overall(whole).loc["all", "examples"], overall(dropped).loc["all", "examples"]
    assert (after % 8, before - after) == (0, before % 8)
    assert dropped["left_over_examples"].iloc[0] == before % 8 > 0
    assert f"{before % 8} left out, the last partial batch of 8" in (folder / "perplexity.md").read_text()


def test_masks_by_name(root, tmp_path):
    usual, _, _ = evaluated(root, tmp_path / "usual", "models=[run]")
    (masks,) = (root / "data" / "mine" / "masks").glob("hierarchical-*")
    for name in ("hierarchical", masks.name):
        named, report, folder = evaluated(root, tmp_path / name, "models=[run]", f"task.masks={name}")
        assert report["models"]["run"]["evaluated_masks"] == masks.name
        assert np.array_equal(named["loss"].dropna(), usual["loss"].dropna())
        assert f"masks {name}" in (folder / "perplexity.md").read_text()


def test_texts_of_one_first_language(root, tmp_path, capsys):
    frame, report, folder = evaluated(root, tmp_path, "models=[run]", "task.only={l1: [French]}")
    assert folder.name == "mine_run_l1-French_perplexity"
    documents = PreparedCorpus.open(root / "data" / "mine").documents.query("split == 'test' and l1 == 'French'")
    found = overall(frame, "context")["documents"].drop("all")
    assert found.to_dict() == documents["cefr_level"].value_counts().sort_index().to_dict()
    assert report["source"]["levels"] == list(found.index)
    assert "l1 French only" in capsys.readouterr().out
    for only, message in (
        ("{l1: [Greek]}", "no text has l1 Greek"),
        ("{cefr_level: [A1]}", r"task.only=\{cefr_level: \[A1\]\}: mine has no such text of C1 in test"),
    ):
        with pytest.raises(UserError, match=message):
            evaluated(root, tmp_path / "none", "models=[run]", f"task.only={only}", "task.levels=[C1]")


# The folder of results ------------------------------------------------------------------------------------------------


def test_a_folder_of_something_else_is_refused_before_the_first_model_is_scored(root, tmp_path, monkeypatch):
    monkeypatch.setattr(task, "Scorer", None)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="notes exists and holds no report"):
        evaluated(root, tmp_path, "models=[run]", "name=notes")


def test_every_model_is_checked_before_the_first_is_scored(root, tmp_path, monkeypatch):
    """The second one reads fewer tokens than asked for."""
    short = shutil.copytree(root / "experiments" / "run" / "model", tmp_path / "short")
    config = json.loads((short / "config.json").read_text())
    (short / "config.json").write_text(json.dumps(config | {"n_positions": 32}))
    monkeypatch.setattr(task, "Scorer", None)
    with pytest.raises(UserError, match="is more than the 32 tokens"):
        evaluated(root, tmp_path / "results", f"models=[run,{short}]")


def test_what_was_computed_is_printed_even_if_it_cannot_be_written(root, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(task, "write_report", full)
    with pytest.raises(OSError, match="No space left"):
        evaluated(root, tmp_path, "models=[run]", "limit=1")
    assert "infill_textonly" in capsys.readouterr().out


def test_a_report_of_other_texts_models_or_settings_is_not_replaced(root, tmp_path):
    named = ["models=[run]", "limit=1", "name=mine"]
    _, before, folder = evaluated(root, tmp_path, *named)
    (folder / "notes.txt").write_text("mine")
    for other, difference in (
        ("task.split=valid", "task.split: 'test' there, 'valid' now"),
        ("limit=2", "limit: 1 there, 2 now"),
        ("task.levels=[A1]", r"texts.levels: \['A1', 'A2', 'B1', 'B2', 'C1'\] there, \['A1'\] now"),
        ("task.max_length=100", "task.max_length: .* there, 100 now"),
        ("models=null", r"models: \['run'\] there, None now"),
        ("task=cloze", "task.name: 'perplexity' there, 'cloze' now"),
    ):
        with pytest.raises(UserError, match=difference):
            evaluated(root, tmp_path, *named, other)
    assert evaluated(root, tmp_path, *named)[1]["results"] == before["results"]
    assert (folder / "notes.txt").read_text() == "mine"


# Model folders --------------------------------------------------------------------------------------------------------


@pytest.fixture
def exported(root, tmp_path) -> Path:
    """The run's model without its run."""
    return shutil.copytree(root / "experiments" / "run" / "model", tmp_path / "exported")


def test_a_model_folder_is_evaluated_as_its_run(root, exported, tmp_path):
    model = exported
    run, _, _ = evaluated(root, tmp_path / "run", "models=[run]")
    frame, report, folder = evaluated(root, tmp_path / "both", f"models=[run,{model}]")
    assert set(frame["run"]) == {"run", "exported"}
    losses = [overall(frame[frame["run"] == name])["loss"].tolist() for name in ("run", "exported")]
    assert losses[0] == losses[1] == overall(run)["loss"].tolist()
    assert report["models"]["exported"] == {
        "folder": str(model),
        "evaluated_masks": report["models"]["run"]["evaluated_masks"],
    }
    rows = [r for r in report["results"]["perplexity"] if r["run"] == "exported"]
    assert {(r["seed"], r["trained_on"], r["model"]) for r in rows} == {(None, "exported", None)}
    assert "exported" in (folder / "perplexity.md").read_text()


def test_a_model_folder_needs_no_training_corpus(root, exported, tmp_path):
    """With test-only data alone, and levels that no training corpus has."""
    options = [f"models=[{exported}]", "corpus.name=other"]
    frame, report, folder = evaluated(root, tmp_path / "results", *options)
    assert folder.name == "other_exported_perplexity"
    assert report["training_corpus"] is None
    assert list(overall(frame).index) == ["A1", "C1", "C2", "all"]


def test_a_model_folder_is_told_its_objective(root, exported, tmp_path):
    folder = f"models=[{exported}]"
    frame, _, written = evaluated(root, tmp_path / "results", folder, "task.objective=lm")
    assert set(frame["objective"]) == {"lm"}
    assert overall(frame, "context").loc["all", "targets"] == 0, "lm has no context"
    assert "lm" in (written / "perplexity.md").read_text()
    with pytest.raises(UserError, match="is for bare model folders"):
        evaluated(root, tmp_path, "models=[run]", "task.objective=lm")


def test_a_model_of_the_reference_is_evaluated_as_the_same_model_of_ours(root, tmp_path):
    vocabulary = Vocabulary(gpt2_tokenizer(), ("document", "paragraph", "sentence", "ngram", "word"))
    model = new_model(GPT2Config(n_layer=1, n_embd=16, n_head=2), seed=0)
    add_special_rows(model, vocabulary, 0)
    save_model(model, vocabulary, tmp_path / "ours")
    write_reference_model(model, vocabulary, 7, tmp_path / "theirs")
    folders = f"models=[{tmp_path / 'ours'},{tmp_path / 'theirs'}]"
    frame, report, _ = evaluated(root, tmp_path / "results", folders, "limit=2")
    assert list(report["models"]) == ["ours", "theirs"]
    ours, theirs = (overall(frame[frame["run"] == name])["loss"] for name in ("ours", "theirs"))
    assert ours.tolist() == pytest.approx(theirs.tolist(), rel=1e-6)
    assert len(list((root / "data" / "mine" / "tokens").glob("gpt2-*"))) == 1


def test_an_exported_corpus_that_is_imported_again_gives_the_same_numbers(root, exported, tmp_path):
    """Texts and masks go through the reference's formats and come back: the way to its own data."""
    path = f"corpus.csv={root / 'mine.csv'}"
    prepare(compose("prepare", *chosen(root), path, f"export={tmp_path / 'reference'}", "num_workers=1")[0])
    options = [option for option in chosen(root) if option != "corpus.name=mine"]
    imported = ["corpus.name=imported", f"corpus.reference={tmp_path / 'reference'}", "num_workers=1"]
    prepare(compose("prepare", *options, *imported)[0])
    model = f"models=[{exported}]"
    before, _, _ = evaluated(root, tmp_path / "before", model)
    after, report, _ = evaluated(root, tmp_path / "after", model, "corpus.name=imported", "task.masks=reference")
    assert report["models"]["exported"]["evaluated_masks"].startswith("reference-")
    for column in ("loss", "targets", "documents", "examples"):
        assert overall(after)[column].tolist() == pytest.approx(overall(before)[column].tolist(), rel=1e-6)


def test_a_folder_that_is_neither_run_nor_infilling_model(root, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty holds no model"):
        evaluated(root, tmp_path / "results", f"models=[{tmp_path / 'empty'}]")
    (tmp_path / "empty" / "config.json").write_text("{}")
    with pytest.raises(UserError):
        evaluated(root, tmp_path / "results", f"models=[{tmp_path / 'empty'}]")


# Texts of another column ----------------------------------------------------------------------------------------------


def test_numbers_on_corrected_texts_say_so(root, tmp_path, capsys):
    options = [*chosen(root)[:1], "corpus.name=corrected", *chosen(root)[2:]]
    path = f"corpus.csv={root / 'mine.csv'}"
    prepare(compose("prepare", *options, path, "corpus.columns.text=text_corrected", "num_workers=1")[0])
    capsys.readouterr()
    frame, report, folder = evaluated(root, tmp_path, "models=[run]", "task.corpus=corrected")
    assert set(frame["text_column"]) == {"text_corrected"} == {report["source"]["text_column"]}
    assert set(pd.read_csv(folder / "perplexity.csv")["text_column"]) == {"text_corrected"}
    for text in ((folder / "perplexity.md").read_text(), capsys.readouterr().out):
        assert "text column: text_corrected" in " ".join(text.split())


def test_no_model_is_given_twice(root, tmp_path):
    run = root / "experiments" / "run"
    frame, _, _ = evaluated(root, tmp_path, f"models=[run,{run},{run}/,{run}/model]")
    assert set(frame["run"]) == {"run"}
    assert overall(frame).index.is_unique
