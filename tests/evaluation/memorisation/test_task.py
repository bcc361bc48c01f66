"""The task as it is typed: a run that knows its texts by heart, beside one that was hardly trained."""

import json
import random
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from huggingface_hub import ModelCard

from evaluate import evaluate
from ilm.config.check import check
from ilm.config.evaluate import Evaluate
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.evaluation.memorisation.infills import masked_texts
from ilm.evaluation.memorisation.losses import Trained, membership_scores
from ilm.evaluation.perplexity.scoring import Scorer, masks_of
from ilm.infilling.blanks import fill_pieces
from ilm.masking.preview import cut
from ilm.runs.finder import Finder
from prepare import prepare
from tests.conftest import SMALL_MODEL, compose, write_csv
from train import train

FEW = ("task.masks_per_document=2", "task.decoding.max_answer_tokens=24")


def rows() -> list[dict[str, str]]:
    """Texts of words in an order of their own: known by heart, or not to be guessed."""
    draw, words = (
        random.Random(0),
        ("sun", "moon", "tree", "river", "house", "dog", "bread", "road", "window", "letter", "friend"),
    )
    return [
        {
            "writing_id": f"{level}-{number}",
            "l1": "x",
            "cefr_level": level,
            "text": " ".join(draw.choices(words, k=14)) + ".",
        }
        for level in ("A1", "A2")
        for number in range(14)
    ]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A corpus with runs on it: `heart` of A1, which was trained until it knew its texts, and `fresh` of A2."""
    root = tmp_path_factory.mktemp("memorisation")
    csv = write_csv(root / "mine.csv", rows())
    prepare(compose("prepare", *chosen(root), f"corpus.csv={csv}", "num_workers=1")[0])
    common = [
        *SMALL_MODEL,
        "data.batch_size=8",
        "logger=none",
        "validation.max_examples=4",
        "model.tokenizer_size=300",
        "model.architecture.n_embd=64",
    ]
    longer = ["trainer.max_steps=150", "validation.every_n_steps=150", "trainer.max_epochs=-1", "optimizer.lr=5e-3"]
    train(*compose("train", *chosen(root), *common, *longer, "cefr=A1", "name=heart"))
    train(*compose("train", *chosen(root), *common, "trainer.max_steps=1", "cefr=A2", "name=fresh"))
    return root


def chosen(root: Path) -> list[str]:
    folders = [f"paths.{name}={root / name}" for name in ("data", "experiments", "results")]
    return ["corpus=custom", "corpus.name=mine", "masking.masks_per_document=3", *folders]


def options(root: Path) -> list[str]:
    return [option for option in chosen(root) if not option.startswith("masking")]


def evaluated(root: Path, *more: str) -> pd.DataFrame:
    return evaluate(*compose("evaluate", *options(root), "task=memorisation", *FEW, *more))


@pytest.fixture(scope="module")
def whole(root) -> tuple[pd.DataFrame, Path]:
    """All texts of both runs."""
    return evaluated(root), root / "results" / "mine_masks_per_document2_max_answer_tokens24_memorisation"


def test_what_was_learned_by_heart_is_told_from_other_texts(root, whole):
    members, _ = whole
    found = members.set_index(["run", "mask_type", "score"])["auc"]
    assert found["heart", "context", "loss"] == 1
    assert set(members["level"]) == {"A1", "A2"}
    assert "all" in set(members["mask_type"])
    assert set(members["score"]) == {"loss"}, "a run from random weights has no reference"
    settings = check(compose("evaluate", *options(root), "task=memorisation", *FEW)[0], Evaluate)
    corpus = PreparedCorpus.open(root / "data" / "mine")
    split = corpus.documents.set_index("writing_id")["split"]
    scorer = Scorer(corpus, settings.task, root / "results", torch.device("cpu"))
    gaps = {}
    for model in Finder(root / "experiments", root / "data" / "mine").find(["heart", "fresh"]):
        run = Trained.of(model, masks_of(model, corpus, settings.task), corpus, settings)
        losses = -membership_scores(run, scorer)["loss"]["context"]
        means = losses.groupby(split.loc[losses.index].to_numpy()).mean()
        gaps[run.model.name] = means["test"] - means["train"]
    assert gaps["heart"] > 1
    assert abs(gaps["fresh"]) < 0.2, "of texts that it was not trained on, as far as one step goes"


def test_files_and_the_second_time(root, whole):
    members, folder = whole
    blanks = pd.read_csv(folder / "blanks.csv", dtype={"source": str}, keep_default_na=False)
    corpus = PreparedCorpus.open(root / "data" / "mine").documents.set_index("writing_id")
    assert set(corpus.loc[blanks["writing_id"], "split"]) == {"test"}
    longest = blanks.groupby("run")[["longest", "learner_longest"]].max()
    assert longest.loc["heart", "longest"] >= 8 > longest.loc["heart", "learner_longest"], "it writes what it knows"
    repeated = blanks[blanks["longest"] > 0]
    for row in repeated.itertuples():
        assert corpus.loc[row.source, ["split", "cefr_level"]].tolist() == ["train", row.cefr_level]
        assert row.stretch in corpus.loc[row.source, "text"]
        assert row.stretch.strip() in corpus.loc[row.writing_id, "text"] or row.stretch.strip() in row.answer
    assert len(repeated)
    assert (blanks["equal_longest"] <= blanks["longest"]).all()
    page = (folder / "memorisation.md").read_text()
    assert "Stretches of training texts" in page
    report = json.loads((folder / "report.json").read_text())
    assert report["results"]["membership"][0]["auc"] == members["auc"].iloc[0]
    answers = {path: path.read_bytes() for path in folder.glob("infills/*.jsonl")}
    assert len(answers) == 2
    first = next(iter(answers))
    first.write_bytes(answers[first][:-5])  # as a killed run leaves it
    again = evaluated(root)
    pd.testing.assert_frame_equal(again, members)
    assert {path: path.read_bytes() for path in answers} == answers


def test_the_card_carries_it(root, whole):
    card = ModelCard.load(root / "experiments" / "heart" / "model" / "README.md").text
    assert "The longest stretch that it shares with a training text" in card
    readme = root / "experiments" / "fresh" / "model" / "README.md"
    before = readme.read_text()
    assert set(evaluated(root, "limit=1", "task.levels=[A2]", "name=part")["run"]) == {"fresh"}, "heart read no A2"
    assert readme.read_text() == before, "a part of the texts is no result"


def test_texts_are_masked_as_prepared_and_answers_stand_in_their_places(root):
    corpus = PreparedCorpus.open(root / "data" / "mine")
    (model,) = Finder(root / "experiments", root / "data" / "mine").find(["heart"])
    settings = check(compose("evaluate", *options(root), "task=memorisation")[0], Evaluate)
    rows = corpus.rows("test", ["A1"])
    scorer = Scorer(corpus, settings.task, root, None)
    dataset = scorer.dataset(model, masks_of(model, corpus, settings.task), rows)
    (first, *_) = masked_texts(dataset, corpus, 1, {})
    assert len({text.writing_id for text in masked_texts(dataset, corpus, 1, {})}) == len(rows)
    learner = [first.text[span.start : span.start + span.length] for span in first.spans]
    assert [model.vocabulary.decode(tokens).strip() for tokens in first.tokens] == learner
    filled, spans = fill_pieces(cut(first.text, first.spans)[0], ["X" * 3] * len(first.spans))
    assert [filled[start : start + length] for start, length in spans] == ["XXX"] * len(first.spans)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["task.levels=[B2]"], "no model was trained on these levels"),
        (["task.infills_per_document=3"], "task.infills_per_document=3: expected task.masks_per_document=2 or fewer"),
        (["input=texts.csv"], "input"),
    ],
)
def test_mistakes(root, typed, said):
    with pytest.raises(UserError, match=re.escape(said)):
        evaluated(root, *typed)
