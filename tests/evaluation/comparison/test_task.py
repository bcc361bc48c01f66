"""`python evaluate.py` on three tiny runs: what is scored once is kept, and what the report is made of."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from evaluate import evaluate
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.evaluation.comparison.task import models_of
from ilm.evaluation.ngrams import NGramModel
from ilm.evaluation.scores import EXAMPLE, ScoreStore
from ilm.runs.trained_model import TrainedModel, model_in
from prepare import prepare
from tests.conftest import SMALL_MODEL, compose, rows_of_small_corpus, write_csv
from train import train

pytestmark = pytest.mark.usefixtures("without_figures")

# With the least number of clusters lowered, there are enough of A1 and B1, and too few of the others.
SIZES, ENOUGH = {"A1": 300, "A2": 20, "B1": 300, "B2": 20, "C1": 20}, 8


@pytest.fixture(scope="module", autouse=True)
def fewer_clusters_are_enough():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ilm.evaluation.comparison.contrasts.MIN_EFFECTIVE_CLUSTERS", ENOUGH)
        yield


def folders(root: Path) -> list[str]:
    return ["corpus=custom", "corpus.name=mine", *(f"paths.{name}={root / name}" for name in ("data", "experiments"))]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("comparison")
    path = write_csv(root / "mine.csv", rows_of_small_corpus(SIZES))
    masks = "masking.masks_per_document=2"
    prepare(compose("prepare", *folders(root), f"corpus.csv={path}", masks, "num_workers=1")[0])
    for level in ("A1", "B1", "all"):
        options = [
            *SMALL_MODEL,
            f"cefr={level}",
            "trainer.max_steps=3",
            "data.batch_size=4",
            "logger=both",
            masks,
        ]
        train(*compose("train", *folders(root), *options))
    return root


@pytest.fixture(scope="module")
def results(root) -> Path:
    """The results of the first evaluation. Shared: a test that writes takes a name of its own."""
    run(root, root / "results", "name=first")
    return root / "results"


def run(root: Path, results: Path, *options: str) -> pd.DataFrame:
    """Evaluate; other than by default, the texts of the report alone are scored."""
    quick = ["task.resamples=200", *([] if "task=comparison" in options else ["task.also_score=null"])]
    return evaluate(*compose("evaluate", *folders(root), f"paths.results={results}", *quick, *options))


def report_of(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text())


@pytest.fixture
def no_model(monkeypatch) -> None:
    """A model that is loaded fails the test."""

    def load(model):
        raise AssertionError(f"{model.name} was loaded")

    monkeypatch.setattr(TrainedModel, "load", load)


def test_the_report_of_specialists_and_generalist(results):
    folder = results / "first"
    files = {path.name for path in folder.iterdir()}
    assert {"report.json", "report.html", "comparison.md", "comparison.tex", "contrasts.csv", "matrix.csv"} <= files
    assert {"matrix.png", "matrix.pdf", "contrasts.png", "learning_curves.pdf", "groups.png"} <= files
    tested = pd.read_csv(folder / "contrasts.csv").query("kind == 'infill_textonly'").set_index(["family", "level"])
    # A1 and B1 have a specialist, and are tested; each is tested on the four other levels too.
    assert sorted(tested.loc["primary"].index) == ["A1", "B1"]
    assert len(tested.loc["exploratory"]) == 8
    assert tested.loc["primary", "p"].notna().all()
    assert tested.loc["primary", "one_seed"].all()
    assert tested.loc["exploratory"].loc["C1", "p"].isna().all(), "2 texts of C1 allow no test"
    page = (folder / "report.html").read_text()
    assert "holds for these two runs" in page
    assert page.count("<svg") == 5
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    ).replace("https://matplotlib.org", "")


def test_the_tables_for_a_paper_are_latex(results, tmp_path):
    """Compiled where a TeX is at hand; elsewhere every environment and brace is closed, and every row is whole."""
    tex = (results / "first" / "comparison.tex").read_text()
    compiler = shutil.which("tectonic") or shutil.which("pdflatex")
    if compiler is not None:
        preamble = "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs,longtable}"
        (tmp_path / "paper.tex").write_text(f"{preamble}\\begin{{document}}{tex}\\end{{document}}")
        subprocess.run([compiler, "paper.tex"], cwd=tmp_path, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        return
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", tex):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    assert len(re.findall(r"(?<!\\)\{", tex)) == len(re.findall(r"(?<!\\)\}", tex))
    tables = re.findall(r"\\begin\{(?:tabular|longtable)\}\{@\{\}([lr]+)@\{\}\}(.*?)\\end\{", tex, flags=re.S)
    assert len(tables) >= 4
    for columns, body in tables:
        rows = [line for line in body.splitlines() if "&" in line]
        assert rows
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(columns) - 1}


def test_contrasts_are_differences_of_the_perplexity_table(results):
    report = report_of(results / "first")["results"]
    losses = pd.DataFrame(report["perplexity"]).query("mask_type == 'all'").set_index(["trained_on", "level", "kind"])
    for row in report["contrasts"]:
        if row["family"] == "omnibus":
            continue
        expected = losses.loc[(row["a"], row["level"], row["kind"]), "loss"]
        expected -= losses.loc[(row["b"], row["level"], row["kind"]), "loss"]
        assert row["theta"] == pytest.approx(expected, abs=1e-9)
    for row in report["matrix"]:
        assert row["loss"] == pytest.approx(losses.loc[(row["model"], row["level"], row["kind"]), "loss"])


def test_groups_add_up_to_their_level(results):
    report = report_of(results / "first")["results"]
    whole = {row["level"]: row for row in report["contrasts"] if row["family"] == "primary"}
    groups = pd.DataFrame(report["groups"])
    assert set(groups["grouping"]) == {"l1", "text length", "mask type", "position", "blank length"}
    for (level, _), own in groups.groupby(["level", "grouping"]):
        textonly = [r for r in report["contrasts"] if r["kind"] == "infill_textonly" and r["level"] == level]
        (primary,) = (row for row in textonly if row["family"] == "primary")
        assert own["targets"].sum() == primary["targets"]
        assert (own["theta"] * own["targets"]).sum() / own["targets"].sum() == pytest.approx(primary["theta"])
    assert set(whole) == {"A1", "B1"}


def test_nothing_is_scored_twice(root, results, no_model):
    first = report_of(results / "first")["results"]
    for options in (["name=again"], ["task=comparison", "name=kept"]):
        run(root, results, *options)
        again = report_of(results / options[-1].removeprefix("name="))["results"]
        for table in ("perplexity", "contrasts", "groups"):
            pd.testing.assert_frame_equal(pd.DataFrame(first[table]), pd.DataFrame(again[table]))


def test_fewer_texts_are_a_part_of_what_is_kept(root, results, no_model):
    frame = run(root, results, "name=few", "limit=5")
    assert frame.query("mask_type == 'all' and kind == 'infill' and level == 'A1'")["documents"].max() <= 5


def test_more_texts_add_to_what_is_kept(root, tmp_path, monkeypatch):
    run(root, tmp_path, "models=[A1]", "limit=5")
    (store,) = (tmp_path / "scores" / "mine_A1_ilm_tiny_debug").glob("[!.]*")
    before = pd.read_parquet(store / "examples.parquet")
    run(root, tmp_path, "models=[A1]", "limit=8")
    after = pd.read_parquet(store / "examples.parquet")
    assert len(before) < len(after)
    merged = before.merge(after, on=["writing_id", "example"], suffixes=("", "_after"))
    assert merged["context_nll"].tolist() == merged["context_nll_after"].tolist()
    whole = run(root, tmp_path / "whole", "models=[A1]", "limit=8")
    parts = run(root, tmp_path, "models=[A1]", "limit=8", "name=parts")
    assert np.allclose(parts["loss"].dropna(), whole["loss"].dropna(), rtol=1e-6)


def splits_scored(results: Path) -> dict[str, int]:
    """The examples scored of each split, of one model."""
    return {
        json.loads((store / "settings.json").read_text())["split"]: len(pd.read_parquet(store / "examples.parquet"))
        for store in results.glob("scores/*/[!.]*")
    }


def test_validation_texts_are_scored_too_and_a_kill_there_loses_nothing(root, tmp_path, monkeypatch, capsys):
    options = ["models=[A1]", "limit=4", "task.also_score=valid"]
    score, kept = ScoreStore.add, []

    def killed_at_the_second(store, batches):
        if kept:
            raise KeyboardInterrupt
        kept.append(store)
        score(store, batches)

    monkeypatch.setattr(ScoreStore, "add", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run(root, tmp_path, *options)
    assert list(splits_scored(tmp_path)) == ["test"]
    printed = capsys.readouterr()
    assert "infill_textonly" in printed.out, "the table comes first"
    assert "now the valid texts" in printed.err
    monkeypatch.setattr(ScoreStore, "add", score)
    run(root, tmp_path, *options)
    found = splits_scored(tmp_path)
    assert set(found) == {"test", "valid"}
    assert min(found.values()) > 0
    assert len(list(tmp_path.glob("*/report.json"))) == 1


def test_systems_made_of_the_specialists(root, tmp_path):
    """Their losses are those of the specialists where these are asked; no mixture without validation scores."""
    run(root, tmp_path, "limit=12", "name=with", "task.also_score=valid")
    table = pd.read_csv(tmp_path / "with" / "systems.csv").set_index(["system", "level"])
    assert set(table.index.get_level_values("system")) == {"all", "mixture", "routing", "oracle"}
    matrix = (
        pd.read_csv(tmp_path / "with" / "matrix.csv").query("kind == 'infill'").set_index(["model", "level"])["loss"]
    )
    for level in ("A1", "B1"):
        assert table.loc[("oracle", level), "loss"] == pytest.approx(matrix[level, level])
        assert table.loc[("all", level), "loss"] == pytest.approx(matrix["all", level])
        both = matrix["A1", level], matrix["B1", level]
        assert table.loc[("routing", level), "loss"] < max(both)
        difference = table.loc[("mixture", level), "loss"] - table.loc[("all", level), "loss"]
        assert table.loc[("mixture", level), "difference_theta"] == pytest.approx(difference)
    assert ("oracle", "A2") not in table.index, "A2 has no specialist"
    assert "Temperature of the mixture" in (tmp_path / "with" / "comparison.md").read_text()
    run(root, tmp_path, "limit=12", "name=without", "task=comparison", "task.also_score=null")
    without = pd.read_csv(tmp_path / "without" / "systems.csv").set_index(["system", "level"])
    assert "mixture" not in without.index
    assert without.loc["routing", "loss"].tolist() == table.loc["routing", "loss"].tolist()


def test_baselines_are_asked_for_the_tokens_that_were_cut_out(root, tmp_path):
    run(root, tmp_path, "limit=5", "name=with")
    kept = {path.parent.name: pd.read_parquet(path / "blanks.parquet") for path in tmp_path.glob("scores/*/[!.]*")}
    own = kept["mine_A1_ilm_tiny_debug"]
    assert {"ngram_A1", "ngram_C1", "ngram_all"} <= set(kept)
    corpus = PreparedCorpus.open(root / "data" / "mine")
    texts = corpus.documents.set_index("writing_id")["text"]
    vocabulary = model_in(root / "experiments" / "mine_A1_ilm_tiny_debug").vocabulary
    training = [
        np.array(vocabulary.encode(text)) for text in corpus.documents["text"].iloc[corpus.rows("train", ["A1"])]
    ]
    ngrams = NGramModel(training, vocabulary.base_size)
    for blank in kept["ngram_A1"].merge(own[[*EXAMPLE, "blank"]]).sample(40, random_state=0).itertuples():
        encoded = vocabulary.tokenizer(texts[blank.writing_id], return_offsets_mapping=True)
        (nll,) = ngrams.nll([np.array(encoded.input_ids)])
        ends = np.array([end for _, end in encoded.offset_mapping])
        first = int(np.searchsorted(ends, blank.start, side="right"))
        assert blank.nll == pytest.approx(nll[first : first + blank.targets].sum())
    table = pd.read_csv(tmp_path / "with" / "baselines.csv").set_index(["baseline", "level"])
    of_a1 = kept["ngram_A1"][
        kept["ngram_A1"]["writing_id"].map(corpus.documents.set_index("writing_id")["cefr_level"]) == "A1"
    ]
    assert table.loc[("ngram A1", "A1"), "loss"] == pytest.approx(of_a1["nll"].sum() / of_a1["targets"].sum())
    run(root, tmp_path, "limit=5", "name=again", "task=comparison")
    assert (tmp_path / "again" / "baselines.csv").read_text() == (tmp_path / "with" / "baselines.csv").read_text()


def test_a_report_of_validation_texts_scores_no_others(root, tmp_path):
    run(root, tmp_path, "models=[A1]", "limit=4", "task.split=valid", "task.also_score=valid")
    assert list(splits_scored(tmp_path)) == ["valid"]


def test_a_comparison_without_scores_says_how_to_make_them(root, tmp_path):
    with pytest.raises(UserError, match="Score them: the same command with task=perplexity"):
        run(root, tmp_path, "task=comparison")


def test_a_model_that_is_not_scored_is_left_out_of_a_comparison(root, tmp_path, capsys):
    run(root, tmp_path, "models=[A1,all]", "limit=3")
    frame = run(root, tmp_path, "task=comparison", "limit=3", "name=kept")
    assert set(frame["trained_on"]) == {"A1", "all"}
    assert "left out: mine_B1_ilm_tiny_debug" in capsys.readouterr().err


def test_only_complete_examples(root, results, tmp_path):
    options = ["models=[A1,all]", "task.max_length=70"]
    cut = run(root, tmp_path, *options)
    complete = run(root, tmp_path, *options, "task.fitting=complete")
    assert cut["cut"].max() > 0 == complete["cut"].max()
    first = complete.iloc[0]
    assert first["unfitting_examples"] > 0
    assert (
        first["unfitting_examples"] + complete.query("level == 'all'")["examples"].iloc[0]
        == (cut.query("level == 'all'")["examples"].iloc[0])
    )


def blanks_of(results: Path, run: str) -> pd.DataFrame:
    """The kept blanks of a run, and whether their examples are cut."""
    (folder,) = (results / "scores" / run).glob("[!.]*")
    examples, blanks = (pd.read_parquet(folder / f"{table}.parquet") for table in ("examples", "blanks"))
    return blanks.merge(examples[[*EXAMPLE, "cut"]], on=EXAMPLE).set_index([*EXAMPLE, "blank"])


def test_between_tokenizers_bits_a_character_are_compared(root, tmp_path, capsys):
    options = [*SMALL_MODEL, "cefr=B1", "model.tokenizer_size=300", "masking.masks_per_document=2"]
    options += ["trainer.max_steps=3", "data.batch_size=4", f"paths.experiments={tmp_path}", "name=smaller"]
    train(*compose("train", *folders(root), *options))
    run(root, tmp_path, f"models=[A1,{tmp_path / 'smaller'}]", "name=both", "task.max_length=120")
    assert "tokenizers differ" in capsys.readouterr().err
    report = report_of(tmp_path / "both")["results"]
    assert {row["kind"] for row in report["contrasts"]} == {"bits_per_character"}
    assert not {"perplexity", "perplexity_ratio"} & {*report["matrix"][0], *report["contrasts"][0]}
    a, b = (blanks_of(tmp_path, run) for run in ("mine_A1_ilm_tiny_debug", "smaller"))
    assert not a["cut"].equals(b["cut"]), "an example is cut for one of them only"
    whole = ~(a["cut"] | b["cut"])
    assert (a["targets"] != b["targets"])[whole].any()
    documents = pd.read_parquet(root / "data" / "mine" / "documents.parquet").set_index("writing_id")
    levels = documents["cefr_level"][a[whole].index.get_level_values("writing_id")].to_numpy()
    bits = (a["nll"] + a["end_nll"] - b["nll"] - b["end_nll"])[whole] / np.log(2)
    expected = bits.groupby(levels).sum() / a["characters"][whole].groupby(levels).sum()
    assert {row["level"]: row["theta"] for row in report["contrasts"]} == pytest.approx(expected.to_dict())
    page = (tmp_path / "both" / "report.html").read_text()
    assert "bits a character" in page
    assert "nats" not in page


def test_perplexities_stand_in_tensorboard(root, results):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(root / "experiments" / "mine_A1_ilm_tiny_debug"))
    events.Reload()
    point = events.Scalars("test/infill_textonly_perplexity_A1")[0]
    frame = pd.DataFrame(report_of(results / "first")["results"]["perplexity"])
    chosen = "run == 'mine_A1_ilm_tiny_debug' and level == 'A1' and kind == 'infill_textonly' and mask_type == 'all'"
    assert point.value == pytest.approx(frame.query(chosen)["perplexity"].item(), rel=1e-5)
    assert point.step == 3


class Run:
    """What the comparison asks of a run to tell which are one model."""

    def __init__(self, name: str, seed: int, init_from: str | None = None, only=None, **identity):
        self.name, self.level, self.weights, self.replicate = name, name.split("_")[0], f"weights of {name}", (seed, 0)
        self.family = {"experiment": init_from and "from-all", "model": "tiny", "masking": None}
        self.identity = {"data.init_from": init_from}
        self.recipe = str((self.level, self.family, identity))
        data = SimpleNamespace(like=None, only=only, condition=None, levels_drawn="natural")
        self.settings = SimpleNamespace(data=data, match=None, init_from=init_from and ["all"])

    def trained(self) -> tuple[None, SimpleNamespace]:
        return None, self.settings


def test_runs_that_differ_in_their_seeds_alone_are_one_model():
    runs = [Run("all_s1", 1), Run("all", 0), Run("A1", 0), Run("A1_again", 0), Run("A1_slow", 0, lr=1e-5)]
    runs += [Run(f"A1_from{seed}", seed, f"weights of all{'_s1' * seed}") for seed in (0, 1)]
    models = models_of([SimpleNamespace(model=run, condition="own") for run in runs])
    assert [(model.name, model.runs) for model in models] == [
        ("A1", (2,)),
        ("A1 from-all", (5, 6)),
        ("A1_slow", (4,)),
        ("all", (1, 0)),
    ]
    (of_l1,) = models_of([SimpleNamespace(model=Run("all_l1", 0, only={"l1": ["Thai"]}), condition="own")])
    assert of_l1.control == "selection", "trained on a first language, it is no generalist"
    assert [(model.control, model.like) for model in models[:2]] == [(None, None), ("fine-tuned", "A1")]
    assert models[1].parents == (1, 0)
    assert models[1].paired_with(models[3]) == (1, 0)
