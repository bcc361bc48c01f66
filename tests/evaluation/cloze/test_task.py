"""task=cloze as it is typed: what it writes, how it resumes after a kill, and every mistake in one message."""

import csv
import errno
import json
import math
import re
from pathlib import Path

import nltk
import pandas as pd
import pytest
from filelock import FileLock
from nltk.tag.perceptron import PerceptronTagger
from transformers import BertModel, ByT5Tokenizer

from evaluate import evaluate
from ilm.cli.main import denials_explained
from ilm.errors import UserError
from ilm.evaluation.cloze import task
from ilm.evaluation.cloze.items import coarse
from ilm.evaluation.cloze.masked_lm import MaskedLM
from ilm.evaluation.cloze.prefix_lm import PrefixLM
from ilm.evaluation.cloze.report import notes, short_names
from ilm.masking.tagging import TAGGER_DATA, nltk_tagger
from ilm.models import hub
from prepare import prepare
from tests.conftest import SMALL_MODEL, compose, rows_of_small_corpus, write_csv
from tests.evaluation.cloze.cloze_models import (
    WORDS,
    always,
    bart,
    bert,
    bert_tokenizer,
    byte_level_tokenizer,
    perceiver,
    roberta,
    saved,
    saved_ilm,
    t5,
    t5_tokenizer,
    unmarked_tokenizer,
)
from train import train

LEVELS = ("A1", "B1", "C1")


def texts() -> list[dict[str, str]]:
    """Twelve texts of the words that the small models know, one of which nobody knows."""
    made = []
    for number in range(12):
        words = [WORDS[(number + 3 * at) % 11] for at in range(7)]
        text = " ".join(words).capitalize() + ". She ate pasta for lunch."
        row = {"writing_id": f"t{number:02}", "l1": ("French", "German")[number % 2]}
        made.append({**row, "cefr_level": LEVELS[number % 3], "text": text})
    made[4]["text"] += " Brot!"
    return made


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A file of texts, and a folder of a model of each kind."""
    root = tmp_path_factory.mktemp("cloze")
    write_csv(root / "test.csv", texts())
    pieces, bytes_, bars = bert_tokenizer(), byte_level_tokenizer(), t5_tokenizer()
    ids = pieces.get_vocab()
    likes_pasta = {ids["pasta"]: 4.0, ids["for"]: 3.0, ids["lunch"]: 2.0}
    saved(root / "bert", always(bert(len(pieces)), likes_pasta), pieces)
    saved(root / "roberta", roberta(len(bytes_)), bytes_)
    saved(root / "bart", bart(len(bytes_)), bytes_)
    saved(root / "t5", t5(len(bars)), bars)
    saved_ilm(root / "ilm")
    return root


@pytest.fixture(autouse=True, scope="module")
def narrow_search():
    """Models of random weights have no likely answers, so a search of them is long; test_predictions.py has some."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PrefixLM, "width_per_candidate", 2)
        patch.setattr(MaskedLM, "width_per_candidate", 2)
        yield


@pytest.fixture(autouse=True)
def without_plots(monkeypatch):
    """Only the module's own fixture `whole` draws its plot."""
    for name in ("reliability_figure", "write_figures"):
        monkeypatch.setattr(f"ilm.evaluation.cloze.report.{name}", lambda *args: None)


def run(root: Path, results: Path, *more: str, models: tuple[str, ...] = ("mlm:bert",)) -> tuple[pd.DataFrame, Path]:
    named = ",".join(f"{kind}:{root / name}" for kind, name in (model.split(":") for model in models))
    chosen = [f"models=[{named}]"] if models else []
    options = ["task=cloze", f"input={root / 'test.csv'}", "task.samples_per_text=3", "task.max_answer_tokens=4"]
    places = [f"paths.{name}={root / name}" for name in ("data", "experiments")]
    options += ["task.resamples=200", "name=test_cloze", *places, f"paths.results={results}", *chosen]
    # What is given later holds.
    typed = {option.partition("=")[0]: option for option in [*options, *more]}
    frame = evaluate(*compose("evaluate", *(option for option in typed.values() if not option.endswith("=DROP"))))
    (folder,) = (path for path in results.iterdir() if path.is_dir())
    return frame, folder


def report_of(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def answers_file(folder: Path, name: str) -> Path:
    """The answers of the only model of this name."""
    (file,) = (folder / "answers").glob(f"{name}-*.jsonl")
    return file


ALL = ("ilm:ilm", "mlm:bert", "mlm:roberta", "t5:t5", "bart:bart")


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory) -> Path:
    """The results folder of a model of each kind. Never write here."""
    return run(root, tmp_path_factory.mktemp("results"), models=ALL)[1]


def test_every_model_answers_the_same_items(whole):
    items = lines(whole / "items.jsonl")
    assert len(items) == 36
    assert {item["writing_id"] for item in items} == {row["writing_id"] for row in texts()}
    keys = sorted(f"{item['writing_id']}#{item['sample']}" for item in items)
    words = {f"{item['writing_id']}#{item['sample']}": item["words"] for item in items}
    for name in ("ilm_ilm", "mlm_bert", "mlm_roberta", "t5_t5", "bart_bart"):
        answers = lines(answers_file(whole, name))
        assert sorted(answer["item"] for answer in answers) == keys
        assert all([blank["word"] for blank in answer["blanks"]] == words[answer["item"]] for answer in answers)
        assert all((blank["failure"] is None) == bool(blank["candidates"]) for a in answers for blank in a["blanks"])


def test_literal_answers_and_their_metrics(whole):
    blanks = pd.read_csv(whole / "blanks.csv")
    own = blanks[blanks["model"] == "mlm:bert"]
    one_piece = own[own["own_subtokens"] == 1]
    assert set(one_piece["answer"]) == {"pasta"}
    right = one_piece["word"].str.lower() == "pasta"
    assert (one_piece["folded"] == right).all()
    total = math.log(sum(map(math.exp, (4, 3, 2))) + len(bert_tokenizer()) - 3)
    assert one_piece["confidence"].tolist() == pytest.approx([math.exp(4 - total)] * len(one_piece), abs=1e-5)
    ranks = {"pasta": 1.0, "for": 1 / 2, "lunch": 1 / 3}
    for row in one_piece[one_piece["word"].isin(ranks)].itertuples():
        assert row.mrr == pytest.approx(ranks[row.word])
    results = pd.read_csv(whole / "cloze.csv").set_index(["model", "grouping", "group", "metric"])
    of_bert = results.loc[("mlm:bert", "all", "all", "folded")]
    assert of_bert["value"] == pytest.approx(own["folded"].mean())
    assert (of_bert["n"], of_bert["units"]) == (36, 11)  # two texts are equal
    for level in LEVELS:
        expected = own[own["cefr_level"] == level]["folded"].mean()
        assert results.loc[("mlm:bert", "cefr_level", level, "folded"), "value"] == pytest.approx(expected)


def test_calibration_counts_what_is_right_without_case(root, tmp_path):
    path = tmp_path / "capital.csv"
    path.write_text("id,cefr,text\n1,A1,Pasta for lunch and rice.\n", encoding="utf-8")
    _, folder = run(root, tmp_path / "results", f"input={path}", "task.samples_per_text=5")
    blanks, bins = pd.read_csv(folder / "blanks.csv"), pd.read_csv(folder / "calibration.csv")
    assert (blanks["exact"].sum(), blanks["folded"].sum()) == (0, 1)
    assert (bins["n"] * bins["correct"]).sum() == pytest.approx(1)


def test_the_report_says_what_was_done(whole, root):
    report = report_of(whole)
    assert (report["task"], report["items"], report["texts"]) == ("cloze", 36, 12)
    assert report["configuration"]["task"]["seed"] == 42
    assert report["source"]["file"]["path"] == str(root / "test.csv")
    assert report["command"].startswith("python ")
    assert report["unit"] == "text"
    assert {"torch", "transformers", "commit"} <= set(report["versions"])
    bert_ = report["models"]["mlm:bert"]
    assert bert_["model"] == str(root / "bert")
    assert bert_["texts_seen_in_training"] is None
    assert report["part_of_speech"].startswith(("left out: NLTK's data", "NLTK's"))
    assert {row["grouping"] for row in report["results"]["cloze"]} >= {"all", "cefr_level", "l1", "subtokens"}
    pairs = {(row["a"], row["b"]) for row in report["results"]["comparisons"]}
    assert len(pairs) == 10


def test_pseudo_log_likelihoods_have_a_column_of_their_own(whole):
    blanks = pd.read_csv(whole / "blanks.csv")
    masked = blanks["model"].str.startswith("mlm")
    assert blanks.loc[masked, "log_probability"].isna().all()
    assert blanks.loc[~masked, "pseudo_log_likelihood"].isna().all()
    assert blanks.loc[~masked, "log_probability"].notna().mean() > 0.9
    compared = pd.read_csv(whole / "comparisons.csv")
    true = compared[compared["metric"] == "log_probability"]
    assert not (true["a"].str.startswith("mlm") | true["b"].str.startswith("mlm")).any()
    pseudo = compared[compared["metric"] == "pseudo_log_likelihood"]
    assert set(zip(pseudo["a"], pseudo["b"], strict=True)) == {("mlm:bert", "mlm:roberta")}


def test_names_are_shown_without_what_all_of_them_share():
    runs = [f"ilm:sample_{level}_ilm_tiny" for level in ("A1", "B1", "all")]
    assert list(short_names(runs).values()) == ["A1", "B1", "all"]
    assert list(short_names(runs[:1]).values()) == runs[:1]
    for apart in (["mlm:bert", "t5:t5"], ["ilm:a", "ilm:b:a"]):
        assert list(short_names(apart).values()) == apart


def test_tables_and_plot(whole):
    markdown = (whole / "cloze.md").read_text(encoding="utf-8")
    assert "36 items of 12 texts with 1 blank each" in markdown
    table = [line.split() for line in markdown.splitlines() if line.startswith("|")]
    assert table[0] == " | ".join(["| model", *ALL, ""]).split()
    assert table[2] == ["|", "n", *["|", "36"] * 5, "|"]
    assert {"log", "PLL", "ECE"} <= {cells[1] for cells in table if len(cells) > 1}
    tex = (whole / "cloze.tex").read_text(encoding="utf-8")
    assert "\\toprule" in tex
    assert tex.count("\\begin{tabular}") == tex.count("\\end{tabular}") >= 4
    assert not [line for line in tex.splitlines() if "_" in line.replace("\\_", "")], "underscores are escaped"
    assert (whole / "calibration.png").read_bytes().startswith(b"\x89PNG")
    with open(whole / "calibration.csv", encoding="utf-8") as file:
        assert {row["model"] for row in csv.DictReader(file)} >= {"mlm:bert", "bart:bart"}


def test_unknown_words_are_counted_and_have_no_score(root, tmp_path):
    _, folder = run(root, tmp_path, "task.samples_per_text=20")
    about = report_of(folder)["models"]["mlm:bert"]
    assert about["without_log_probability"] == {"the tokenizer does not know the word": 1}
    assert "the tokenizer does not know the word" in (folder / "cloze.md").read_text(encoding="utf-8")


def test_a_model_that_answers_nothing_is_in_every_table(root, tmp_path):
    long = [{**row, "text": "She ate pasta for lunch and " * 15} for row in texts()[:3]]
    path = write_csv(tmp_path / "long.csv", long)
    options = (f"input={path}", "task.max_chars=null")
    frame, folder = run(root, tmp_path / "results", *options, models=("mlm:bert", "t5:t5"))
    about = report_of(folder)["models"]["mlm:bert"]
    assert about["failures"] == {"the text is longer than the model takes": 9}
    assert about["expected_calibration_error"] is None
    overall = frame[(frame["grouping"] == "all") & (frame["model"] == "mlm:bert")].set_index("metric")
    assert (overall.loc["folded", "value"], overall.loc["folded", "n"]) == (0, 9)
    assert "pseudo_log_likelihood" not in overall.index
    compared = pd.read_csv(folder / "comparisons.csv").set_index(["grouping", "metric"])
    assert compared.loc[("all", "folded"), "n"].item() == 9, "on the same blanks"
    assert compared.loc[("all", "folded"), "units"].item() == 1, "these texts are equal: nothing is known of others"


# Items of a bench -----------------------------------------------------------------------------------------------------


def test_items_do_not_depend_on_the_order_of_the_file(root, tmp_path):
    _, one = run(root, tmp_path / "one", "task.samples_per_text=1")
    reversed_ = write_csv(tmp_path / "test.csv", texts()[::-1])
    _, two = run(root, tmp_path / "two", f"input={reversed_}", "task.samples_per_text=1")
    assert (one / "items.jsonl").read_bytes() == (two / "items.jsonl").read_bytes()


def test_two_blanks_an_item(root, tmp_path):
    frame, folder = run(root, tmp_path, "task.n_masks=2", "task.samples_per_text=1", "limit=1", models=ALL)
    assert all(len(item["spans"]) == 2 for item in lines(folder / "items.jsonl"))
    overall = frame[(frame["grouping"] == "all") & (frame["metric"] == "exact")]
    assert set(overall["n"]) == {6}


def test_a_limit_takes_texts_of_all_levels(root, tmp_path):
    _, folder = run(root, tmp_path, "limit=2")
    chosen = {item["writing_id"]: item["cefr_level"] for item in lines(folder / "items.jsonl")}
    assert sorted(chosen.values()) == sorted(LEVELS * 2)


def test_one_level(root, tmp_path):
    _, folder = run(root, tmp_path, "task.levels=[B1]")
    assert {item["cefr_level"] for item in lines(folder / "items.jsonl")} == {"B1"}


def test_learners_are_the_units_where_they_are_known(root, tmp_path):
    rows = [{**row, "learner_id": f"learner{number // 4}"} for number, row in enumerate(texts())]
    rows[11]["text"] += " Soup and rice."  # else equal to the first one, of another learner
    path = write_csv(tmp_path / "learners.csv", rows)
    frame, folder = run(root, tmp_path / "results", f"input={path}")
    assert report_of(folder)["unit"] == "learner"
    overall = frame[frame["grouping"] == "all"].set_index("metric")
    assert (overall.loc["folded", "n"], overall.loc["folded", "units"]) == (36, 3)
    assert "clustered by learner" in (folder / "cloze.md").read_text(encoding="utf-8")


def test_texts_that_a_model_was_trained_on_come_before_all_else(whole):
    header = report_of(whole)
    header["models"]["ilm:ilm"]["texts_seen_in_training"] = 7
    assert notes(header)[1] == "ilm:ilm was trained on 7 of these texts: its figures are no test of it."


def test_nltks_own_tagger_from_a_folder_of_its_data(tmp_path, monkeypatch):
    """A small tagger in the files of NLTK's: the real data cannot be counted on."""
    small = PerceptronTagger(load=False)
    small.train([[("She", "PRP"), ("ate", "VBD"), ("pasta", "NN")], [("I", "PRP"), ("like", "VBP"), ("rice", "NN")]])
    folder = tmp_path / "taggers" / TAGGER_DATA
    folder.mkdir(parents=True)
    for file, content in zip(small.param_files("eng"), small.encode_json_obj(), strict=True):
        (folder / file).write_text(json.dumps(list(content) if isinstance(content, set) else content))
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    assert nltk_tagger()(["She", "ate", "pasta"]) == [("She", "PRP"), ("ate", "VBD"), ("pasta", "NN")]
    (folder / f"{TAGGER_DATA}.weights.json").write_text("{")
    with pytest.raises(UserError, match=f"NLTK's data {TAGGER_DATA} is damaged"):
        nltk_tagger()
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "nowhere")])
    assert nltk_tagger() is None


def test_parts_of_speech_where_there_is_a_tagger(root, tmp_path, monkeypatch):
    tags = {"pasta": "NN", "ate": "VBD", "She": "PRP", "for": "IN"}
    monkeypatch.setattr(task, "nltk_tagger", lambda: lambda words: [(word, tags.get(word, "XX")) for word in words])
    frame, folder = run(root, tmp_path)
    found = frame[(frame["grouping"] == "part_of_speech") & (frame["metric"] == "folded")].set_index("group")
    assert found.loc["noun", "value"] == 1
    assert found.loc["verb", "value"] == 0
    assert "Match by part of speech" in (folder / "cloze.md").read_text(encoding="utf-8")
    assert coarse("NNS") == "noun"
    assert coarse("NNP") == "proper noun"
    assert coarse(",") == "other"


# Going on -------------------------------------------------------------------------------------------------------------


def test_a_killed_bench_goes_on_with_equal_bits(root, tmp_path, monkeypatch):
    models = ("mlm:roberta", "bart:bart")
    _, undisturbed = run(root, tmp_path / "undisturbed", models=models)
    answer, batches = MaskedLM.predict, []

    def until_killed(self, items):
        if len(batches) == 2:
            raise KeyboardInterrupt
        batches.append(len(items))
        return answer(self, items)

    monkeypatch.setattr(MaskedLM, "predict", until_killed)
    with pytest.raises(KeyboardInterrupt):
        run(root, tmp_path / "killed", models=models)
    folder = tmp_path / "killed" / "test_cloze"
    file = answers_file(folder, "mlm_roberta")
    assert len(lines(file)) == 16
    assert not (folder / "report.json").exists()
    # Killed in the middle of the third batch, and of a line; another was damaged.
    third = answers_file(undisturbed, "mlm_roberta").read_text(encoding="utf-8").splitlines()[16:19]
    with open(file, "a", encoding="utf-8") as half:
        half.write("\n".join([third[0], third[1][:20], *third[2:]])[:-9])
    monkeypatch.setattr(MaskedLM, "predict", lambda self, items: batches.append(len(items)) or answer(self, items))
    run(root, tmp_path / "killed", models=models)
    assert batches == [8, 8, 8, 8, 4], "what was answered is not asked again"
    for name in ("mlm_roberta", "bart_bart"):
        pair = [answers_file(f, name) for f in (folder, undisturbed)]
        assert pair[0].read_bytes() == pair[1].read_bytes()
    for name in ("cloze.csv", "comparisons.csv", "blanks.csv", "cloze.md", "calibration.csv"):
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes()


def test_a_finished_bench_asks_nothing_and_takes_a_further_model(root, tmp_path, monkeypatch):
    _, folder = run(root, tmp_path, "limit=1", models=("mlm:bert",))
    before = (answers_file(folder, "mlm_bert")).read_bytes()
    monkeypatch.setattr(MaskedLM, "predict", None)
    run(root, tmp_path, "limit=1", models=("mlm:bert", "t5:t5"))
    assert (answers_file(folder, "mlm_bert")).read_bytes() == before
    assert set(report_of(folder)["models"]) == {"mlm:bert", "t5:t5"}


def test_another_bench_in_the_same_folder_is_refused_with_the_difference(root, tmp_path):
    run(root, tmp_path, "limit=1")
    with pytest.raises(
        UserError, match=r"holds another evaluation:\n(.*\n)*  - task.seed: 42 there, 7 now\n(.*\n)*.*name="
    ):
        run(root, tmp_path, "limit=1", "task.seed=7")
    # The draws of the bootstrap are no part of it.
    run(root, tmp_path, "limit=1", "task.resamples=300")


def test_a_model_is_known_by_its_files_however_it_is_typed(root, tmp_path, monkeypatch):
    run(root, tmp_path / "results", "limit=1", models=("mlm:bert",))
    monkeypatch.chdir(root)
    monkeypatch.setattr(MaskedLM, "predict", None)
    run(root, tmp_path / "results", "limit=1", "models=[mlm:bert]")


def test_a_full_disk_is_told_and_what_is_answered_stays(root, tmp_path, monkeypatch):
    answer, batches = MaskedLM.predict, []

    def until_full(self, items):
        if len(batches) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        batches.append(len(items))
        return answer(self, items)

    monkeypatch.setattr(MaskedLM, "predict", until_full)
    with pytest.raises(UserError, match=r"the disk is full: .* Make room.* type the same"), denials_explained():
        run(root, tmp_path)
    assert len(lines(answers_file(tmp_path / "test_cloze", "mlm_bert"))) == 16


def test_what_was_said_is_in_the_folder(whole):
    said = (whole / "cloze.log").read_text(encoding="utf-8")
    assert "36 items of 12 texts" in said
    assert re.search(r"mlm:bert: 36 of 36 items, [\d.e+]+ items/s, in 0:\d\d:\d\d", said)


def test_how_long_it_will_take_is_said_beforehand(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(task, "_WORTH_TIMING", 2)
    run(root, tmp_path, models=("mlm:bert", "mlm:roberta"))
    said = capsys.readouterr().err
    time = r"0:\d\d:\d\d"
    each = f"mlm:bert {time}, mlm:roberta {time}"
    assert re.search(rf"expected to take about {time} \(timed on one batch of each model: {each}\)", said)
    assert said.index("expected to take") < said.index("model 1 of 2")
    run(root, tmp_path, models=("mlm:bert", "mlm:roberta"))
    assert "expected to take" not in capsys.readouterr().err, "nothing is missing"


def test_what_was_answered_is_printed_even_if_it_cannot_be_written(root, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(task, "write_report", full)
    with pytest.raises(OSError, match="No space left"):
        run(root, tmp_path, "limit=1")
    assert "top-10" in capsys.readouterr().out


def test_a_folder_of_something_else_is_refused_before_the_first_model_is_loaded(root, tmp_path, monkeypatch):
    monkeypatch.setattr(task, "load_model", None)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="notes exists and holds no report"):
        run(root, tmp_path, "name=notes")


def test_lines_behind_the_last_answer_are_dropped(root, tmp_path):
    _, folder = run(root, tmp_path)
    file = answers_file(folder, "mlm_bert")
    right = file.read_bytes()
    file.write_bytes(right + b'{"item": "t0')
    run(root, tmp_path)
    assert file.read_bytes() == right


def test_a_damaged_identity_is_refused(root, tmp_path):
    _, folder = run(root, tmp_path, "limit=1")
    (folder / "identity.json").write_text("{")
    with pytest.raises(UserError, match=r"identity.json is damaged. Type name="):
        run(root, tmp_path, "limit=1")


def test_a_bench_killed_before_its_first_file_was_whole(root, tmp_path):
    (tmp_path / "test_cloze").mkdir()
    (tmp_path / "test_cloze" / ".identity.json.tmp-host-1-00000000").write_text("{")
    _, folder = run(root, tmp_path)
    assert not list(folder.glob(".*"))


def one_sided_bert(folder: Path, likes: str) -> None:
    pieces = bert_tokenizer()
    saved(folder, always(bert(len(pieces)), {pieces.get_vocab()[likes]: 4.0}), pieces)


def test_another_model_in_the_same_folder_is_asked_for_itself(root, tmp_path):
    (tmp_path / "test.csv").write_bytes((root / "test.csv").read_bytes())
    answers = []
    for likes in ("pasta", "rice"):
        one_sided_bert(tmp_path / "bert", likes)
        _, folder = run(tmp_path, tmp_path / "results", "limit=1")
        answers.append(set(pd.read_csv(folder / "blanks.csv").query("own_subtokens == 1")["answer"]))
    assert answers == [{"pasta"}, {"rice"}]
    assert len(list((folder / "answers").glob("*.jsonl"))) == 2, "nothing that was answered is thrown away"


def test_a_model_of_the_same_short_name_leaves_the_answers_of_the_first(root, tmp_path, monkeypatch):
    run(root, tmp_path / "results", "limit=1")
    one_sided_bert(tmp_path / "other" / "bert", "rice")
    answer, asked = MaskedLM.predict, []
    monkeypatch.setattr(MaskedLM, "predict", lambda self, items: asked.append(len(items)) or answer(self, items))
    both = f"models=[mlm:{root / 'bert'},mlm:{tmp_path / 'other' / 'bert'}]"
    _, folder = run(root, tmp_path / "results", "limit=1", both)
    assert sum(asked) == 9, "only the second one is asked"
    assert list(report_of(folder)["models"]) == [f"mlm:{root / 'bert'}", f"mlm:{tmp_path / 'other' / 'bert'}"]


def test_one_model_typed_twice_is_asked_once(root, tmp_path, capsys):
    twice = f"models=[mlm:{root}/bert,mlm:{root}/bert/,ilm:{root}/ilm,ilm:{root}/../{root.name}/ilm]"
    _, folder = run(root, tmp_path, twice, "limit=1", "task.samples_per_text=1")
    assert list(report_of(folder)["models"]) == ["ilm:ilm", "mlm:bert"]
    said = capsys.readouterr().err
    assert re.search(r"evaluated once: mlm:\S*/bert/? is the same model as \S*/bert\n", said)


def test_answers_of_another_method_are_refused(root, tmp_path, monkeypatch):
    run(root, tmp_path, "limit=1")
    monkeypatch.setattr(task, "METHOD", task.METHOD + 1)
    with pytest.raises(UserError, match=rf"  - method: {task.METHOD - 1} there, {task.METHOD} now"):
        run(root, tmp_path, "limit=1")


def test_lists_that_may_miss_an_answer_are_counted_in_the_table_of_the_terminal(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(PrefixLM, "width_per_candidate", 1)
    few = ("limit=2", "task.levels=[A1]", "task.samples_per_text=1")
    _, folder = run(root, tmp_path, *few, models=("ilm:ilm",))
    assert report_of(folder)["models"]["ilm:ilm"]["incomplete_lists"] == 2
    markdown = " ".join((folder / "cloze.md").read_text(encoding="utf-8").split())
    assert "| n | 2 | | failed | 0 | | unsure | 2 |" in markdown
    shown = capsys.readouterr().out
    assert re.search(r"unsure\W+2", shown)
    assert "may lack a likelier answer" in " ".join(shown.split())


def test_two_processes_in_one_folder(root, tmp_path):
    tmp_path.joinpath("results").mkdir()
    with (
        FileLock(tmp_path / "results" / ".test_cloze.lock"),
        pytest.raises(UserError, match="Another process works on"),
    ):
        run(root, tmp_path / "results")


# Trained models -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A corpus `mine` and two runs on it, one of which cannot fill blanks."""
    root = tmp_path_factory.mktemp("trained")
    sizes = {"A1": 12, "A2": 10, "B1": 10, "B2": 10, "C1": 10}
    path = write_csv(root / "test.csv", rows_of_small_corpus(sizes))
    places = [f"paths.{name}={root / name}" for name in ("data", "experiments")]
    chosen = ["corpus=custom", "corpus.name=mine", *places, "masking.masks_per_document=2"]
    prepare(compose("prepare", *chosen, f"corpus.csv={path}", "num_workers=1")[0])
    for name, objective in (("run", "ilm"), ("copying", "lm")):
        options = [*SMALL_MODEL, "trainer.max_steps=2", "data.batch_size=4", "logger=none"]
        train(*compose("train", *chosen, *options, f"name={name}", f"objective={objective}"))
    return root


def test_without_models_and_input_all_trained_ones_answer_the_test_split(trained, tmp_path, caplog):
    corpus = ("corpus=custom", "corpus.name=mine", "input=null", "limit=5", "name=null")
    _, folder = run(trained, tmp_path, *corpus, models=())
    assert folder.name == "mine_limit5_samples_per_text3_max_answer_tokens4_cloze"
    report = report_of(folder)
    assert list(report["models"]) == ["ilm:run"]
    assert (report["source"]["split"], report["source"]["synthetic"]) == ("test", False)
    assert report["models"]["ilm:run"]["texts_seen_in_training"] == 0
    assert sorted({item["cefr_level"] for item in lines(folder / "items.jsonl")}) == ["A1", "A2", "B1", "B2", "C1"]


def test_the_texts_are_those_of_the_models_corpus_whatever_the_default(trained, tmp_path):
    """No corpus `sample` is prepared here."""
    _, folder = run(trained, tmp_path, "input=null", "limit=1", models=("ilm:experiments/run",))
    assert report_of(folder)["source"]["name"] == "mine"


def test_texts_that_a_model_was_trained_on_are_told(trained, tmp_path):
    _, folder = run(trained, tmp_path, models=("ilm:experiments/run",))
    seen = report_of(folder)["models"]["ilm:run"]["texts_seen_in_training"]
    documents = pd.read_parquet(trained / "data" / "mine" / "documents.parquet")
    assert seen == (documents["split"] == "train").sum()
    assert f"was trained on {seen} of these texts" in (folder / "cloze.md").read_text(encoding="utf-8")


# Bad input ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unusable(root) -> Path:
    """`root` with further folders, of models that cannot fill blanks."""
    (root / "empty").mkdir()
    pieces = bert_tokenizer()
    pieces.mask_token = None
    saved(root / "unmasked", bert(len(pieces)), pieces)
    saved(root / "unguarded", t5(80), t5_tokenizer(sentinels=0))
    saved(root / "headless", BertModel(bert(21).config), bert_tokenizer())
    bert(21).save_pretrained(root / "wordless")
    saved(root / "bytes", t5(384), ByT5Tokenizer())
    saved(root / "unmarked", bert(9), unmarked_tokenizer())
    saved(root / "perceiver", perceiver(len(bert_tokenizer())), bert_tokenizer())
    return root


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (["gpt:gpt2"], r"'gpt:gpt2' has no kind of ilm, mlm, t5, bart"),
        (["mlm:"], "has no kind"),
        (["mlm:./nowhere"], "model folder ./nowhere does not exist"),
        (["ilm:./nowhere"], "folder nowhere does not exist"),
        (["mlm:{root}/empty"], r"mlm:.*empty holds no model .*Expected a masked language model"),
        (["mlm:{root}/ilm"], "is a gpt2 model. Expected a masked language model"),
        (["mlm:{root}/bart"], "is a bart model. Expected a masked language model"),
        (["t5:{root}/bart"], "is a bart model. Expected a T5"),
        (["bart:{root}/t5"], "is a t5 model. Expected a BART"),
        (["ilm:{root}/bert"], "has no infilling tokens"),
        (["mlm:{root}/unmasked"], "has no mask token"),
        (["t5:{root}/unguarded"], "has no sentinel <extra_id_0>"),
        (["mlm:{root}/headless"], "lacks weights .*drawn at random"),
        (["mlm:{root}/wordless"], r"wordless has no tokenizer \(tokenizer.json, .*Copy it from where"),
        (["t5:{root}/bytes"], "ByT5Tokenizer, gives no character offsets .*not ByT5 or CANINE"),
        (["mlm:{root}/unmarked"], "does not mark words as"),
        (["mlm:{root}/perceiver"], "is a perceiver model without output embeddings"),
        (["{root}/bert"], "has no infilling tokens"),
        (["mlm:{root}/bert", "t5:{root}/bert"], "is a bert model. Expected a T5"),
    ],
)
def test_models_that_cannot_be_asked(unusable, tmp_path, models, message):
    chosen = ",".join(model.format(root=unusable) for model in models)
    with pytest.raises(UserError, match=message):
        run(unusable, tmp_path, f"models=[{chosen}]")
    known_from_weights_alone = any(name in models[0] for name in ("headless", "perceiver"))
    assert known_from_weights_alone or not list(tmp_path.iterdir()), "before any model is asked"


def test_more_blanks_than_sentinels(root, tmp_path):
    with pytest.raises(UserError, match=r"no sentinel <extra_id_4>, and task.n_masks=4 needs 5"):
        run(root, tmp_path, "task.n_masks=4", models=("t5:t5",))


def test_a_hub_out_of_reach_is_told_at_once(root, tmp_path, monkeypatch):
    def unreachable(*arguments, **options):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(hub.HfApi, "model_info", unreachable)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"'nobody/nothing' is not on this machine.*models=\[mlm:FOLDER\]"):
        run(root, tmp_path, "models=[mlm:nobody/nothing]")


@pytest.mark.parametrize(
    ("content", "more", "message"),
    [
        ("", [], "is empty"),
        ("writing_id,l1,cefr_level,text\n", [], "has a header but no rows"),
        ("writing_id,l1,cefr_level\n1,French,A1\n", [], "no column for text"),
        ("id,text\n1,She ate pasta.\n", [], "no column for cefr_level"),
        (
            "id,cefr,text\n1,A1,She ate pasta.\n",
            ["task.n_masks=9"],
            "None of 1 texts has task.n_masks=9 words",
        ),
        (
            "id,cefr,text\n1,A1,12 34 !\n",
            [],
            "by task.positions=human-tokens. Ask for fewer, or type task.positions=random for words of any",
        ),
        (
            "id,cefr,text\n1,A1,She ate\n",
            ["task.n_masks=2", "task.positions=random"],
            "not neighbours, by task.positions=random",
        ),
        ("id,cefr,text\n1,A1,She ate pasta.\n", ["task.levels=[B2]"], "has no texts of level B2"),
        (None, [], "no such file"),
    ],
)
def test_texts_that_make_no_bench(root, tmp_path, content, more, message):
    path = tmp_path / "bad.csv"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        run(root, tmp_path / "results", f"input={path}", *more)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["task.positions=anywhere"], "task.positions=anywhere: expected one of human-tokens, random"),
        (["task.n_masks=0"], "task.n_masks=0: expected at least 1"),
        (["task.candidates=3"], "task.candidates=3: expected at least 10"),
        (["limit=0"], "limit=0: expected at least 1"),
    ],
)
def test_values_that_make_no_sense(root, tmp_path, more, message):
    with pytest.raises(UserError, match=message):
        run(root, tmp_path, *more)


def test_a_file_without_ids_and_l1_is_enough(root, tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("cefr,text\nC2,She ate pasta for lunch.\nA1,She likes soup and rice.\n", encoding="utf-8")
    _, folder = run(root, tmp_path / "results", f"input={path}")
    assert {(item["writing_id"], item["l1"]) for item in lines(folder / "items.jsonl")} == {
        ("plain:2", "unknown"),
        ("plain:3", "unknown"),
    }
