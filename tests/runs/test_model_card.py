"""The model card: what it says of a trained run, that the hub's reader takes it, and that it changes no fingerprint."""

import pytest
from huggingface_hub import ModelCard

from evaluate import evaluate
from ilm.corpus.store import PreparedCorpus
from ilm.hashing import model_fingerprint
from ilm.runs.folder import RunFolder
from ilm.runs.model_card import write_model_card
from tests.conftest import SMALL_MODEL, compose
from train import train

pytestmark = pytest.mark.usefixtures("without_figures")


@pytest.fixture(scope="module")
def run(prepared, tmp_path_factory) -> RunFolder:
    root = tmp_path_factory.mktemp("card")
    folders = [f"paths.data={prepared}", f"paths.experiments={root}", f"paths.results={root / 'results'}"]
    here = ["corpus=custom", "corpus.name=small", *folders]
    train(*compose("train", *here, *SMALL_MODEL, "trainer.max_steps=2", "cefr=A1", "name=mine"))
    return RunFolder(root / "mine")


def test_after_training_it_has_the_validation_losses(run, prepared):
    card = ModelCard.load(run.model / "README.md")
    assert card.data.tags == ["infilling", "learner-english", "cefr-A1"]
    corpus = PreparedCorpus.open(prepared / "small")
    assert f"documents hash {corpus.documents_hash}" in card.text
    assert "learners in several splits: cannot be known" in card.text
    assert "Validation perplexity of the best weights" in card.text
    assert "python evaluate.py" in card.text
    seen = sum(run.status["targets_seen"]["infill"].values())
    assert f"{seen:,} infill" in card.text


def test_evaluation_adds_the_test_perplexities(run, prepared):
    before = model_fingerprint(run.model)
    folders = [f"paths.data={prepared}", f"paths.experiments={run.path.parent}", f"paths.results={run.path.parent}/r"]
    here = ["corpus=custom", "corpus.name=small", *folders, "task.also_score=null"]
    evaluate(*compose("evaluate", *here, "models=[mine]", "limit=1"))
    assert "Validation perplexity" in (run.model / "README.md").read_text(), "a part of the texts is no result"
    frame = evaluate(*compose("evaluate", *here, "models=[mine]"))
    card = ModelCard.load(run.model / "README.md")
    found = frame[(frame["kind"] == "infill_textonly") & (frame["mask_type"] == "all")].set_index("level")["perplexity"]
    given = {result.dataset_config: result.metric_value for result in card.data.eval_results}
    assert given == {level: pytest.approx(value, abs=1e-4) for level, value in found.items()}
    assert len(given) == 6
    assert "95 % interval" in card.text
    assert "masks cut out of each test text" in card.text
    assert model_fingerprint(run.model) == before


def test_a_folder_that_takes_no_card_is_a_warning(run, prepared, monkeypatch, caplog):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("ilm.runs.model_card.atomic_file", refuse)
    write_model_card(run, PreparedCorpus.open(prepared / "small").manifest)
    assert "cannot write the model card" in caplog.text
