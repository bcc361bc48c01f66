"""The page in a headless Chromium; where none is installed, its server alone is tested (test_web_s*.py)."""

import csv
import io
import json
import math
import os
import re
import signal
import time

import pytest

from ilm.infilling.render import probability
from ilm.models.loading import save_model
from ilm.runs.folder import versions
from tests.forked import Forked
from tests.infilling.web.browser import browser, chromium
from tests.infilling.web.serving import DEFAULTS, running, served, service_with, slow, three_models

needs_chromium = pytest.mark.skipif(
    chromium() is None, reason="no Chromium is installed: the page's scripts are not tested, only its server is"
)
FILLED = "document.querySelectorAll('.candidate').length"
DONE = "$('cancel').hidden && $('status').textContent.includes(' in ')"


@pytest.fixture(scope="module")
def models():
    return three_models()


@pytest.fixture(scope="module")
def chrome(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(chrome, models):
    levels = {"a1": "A1", "b2": "B2", "random": "all"}
    listed = [served(name, levels[name], infiller) for name, infiller in models.items()]
    listed += [served("slow", "C1", slow(models))]
    with running(service_with(listed)) as server:
        chrome.events.clear()
        chrome.go(server.url)
        chrome.until("document.querySelectorAll('#models input').length == 4 && !!$('text').value")
        chrome.js("models[3].box.click()")  # the slow one only where it is asked for
        yield chrome
        chrome.go("about:blank")  # or what the page still asks for fails once the server ends, within the next test
        problems = [e for e in chrome.events if e["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]
        entries = [e["params"].get("entry", {"text": "exception", "url": ""}) for e in problems]
        # That an answer has status 400 is told by Chromium itself.
        assert not [(e["text"], e.get("url")) for e in entries if "400 (Bad Request)" not in e["text"]], server.url
        requested = [e["params"]["request"]["url"] for e in chrome.events if e["method"] == "Network.requestWillBeSent"]
        assert all(url.startswith((server.url, "data:")) for url in requested), requested


def fill(page, text: str) -> None:
    page.js(f"$('text').value = {json.dumps(text)}; $('status').textContent = ''; $('fill').click()")
    page.until(DONE)


@needs_chromium
def test_candidates_stand_side_by_side_with_figures(page):
    fill(page, "I [word] pasta.")
    assert page.js("[...document.querySelectorAll('h3')].map((h) => h.textContent)") == ["a1 A1", "b2 B2", "random all"]
    assert page.js(FILLED) == 6
    assert page.js("document.querySelector('.candidate .answer').textContent") == "eat"
    assert re.match(r"\d", page.js("document.querySelector('.candidate .figure').textContent"))
    assert page.js("$('status').textContent").startswith("6 candidates from 3 models in ")
    colours = page.js("[...document.querySelectorAll('.answer b')].map((b) => getComputedStyle(b).backgroundColor)")
    assert len(set(colours)) > 1
    assert "rgba(0, 0, 0, 0)" not in colours


@needs_chromium
def test_a_word_blank_has_one_word_where_no_more_are_allowed(page):
    page.js("$('candidates').value = 20; $('max_answer_words').value = 1")
    page.js("models.slice(0, 2).forEach((m) => m.box.click())")
    words = "shown[0].candidates.map((candidate) => candidate.answers[0].text.trim().split(/\\s+/).length)"
    fill(page, "I _ pasta.")
    assert page.js(f"[shown[0].model, Math.max(...{words})]") == ["random", 1]
    page.js("$('max_answer_words').value = ''")
    fill(page, "I _ pasta.")
    assert page.js(f"Math.max(...{words})") > 1


@needs_chromium
def test_what_looks_like_a_blank_and_is_none_is_told(page):
    fill(page, "I [Word:-3 tokens] it [word:-3 tokens] [MASK] a_b [document].")
    assert "([Word:-3 tokens] [document] read as text" in page.js("$('status').textContent")
    fill(page, "I _ [ngram] it.")
    assert "read as text" not in page.js("$('status').textContent")


@needs_chromium
def test_the_answers_of_a_long_text_are_in_view(page):
    fill(page, "\n" * 30 + "I [word] pasta.")
    inside = """(() => {
      const text = document.querySelector(".candidate .text");
      const [box, answer] = [text, text.querySelector(".answer")].map((e) => e.getBoundingClientRect());
      return [text.scrollHeight > text.clientHeight, answer.top >= box.top && answer.bottom <= box.bottom];
    })()"""
    assert page.js(inside) == [True, True]


@needs_chromium
def test_candidates_are_copied_as_markdown(page):
    page.js("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    fill(page, "I | *like* [word] <b>")
    page.js("$('copy-markdown').click()")
    first = page.until("window.copied").splitlines()
    assert first[:2] == ["| model | text | p |", "|---|---|---:|"]
    assert first[2].startswith("| a1 | I \\| \\*like\\* **eat** \\<b\\> | ")
    page.js("window.copied = ''; $('copy-text').click()")
    assert page.until("window.copied").splitlines()[1].startswith("I | *like* eat <b>\t(p = ")


@needs_chromium
def test_the_original_answers_stand_above_the_candidates(page):
    fill(page, "I {play} pasta.")
    shown = "[...document.querySelector('.column').querySelectorAll('.candidate .text')].map((p) => p.textContent)"
    figure = page.js("document.querySelector('.original .figure').textContent")
    assert page.js(shown)[0] == f"I play{figure} pasta."
    assert page.js("document.querySelector('.original .judged').textContent") == "play"
    assert page.js("document.querySelector('.original .foot').textContent").startswith(f"original: p = {figure} (")
    assert "<b>" not in page.js("document.querySelector('.original').innerHTML")
    fill(page, "I _ pasta.")
    assert page.js("document.querySelector('.original')") is None


@needs_chromium
def test_the_original_stands_beside_blanks_that_have_none(page):
    fill(page, "I [word] pasta {with} it.")
    assert page.js("document.querySelector('.original .text').textContent").startswith("I eat pasta with")
    assert page.js("[...document.querySelectorAll('.original .judged')].map((s) => s.textContent)") == ["with"] * 3
    assert page.js("document.querySelector('.original .foot').textContent").endswith("; other blanks as in candidate 1")


@needs_chromium
def test_probabilities_are_written_as_at_the_terminal(page):
    logs = [-0.01, -0.2, -1, -2.302, -6.9, -9.2, -9.3, -11.5129, -50, -700, -2000]
    assert page.js(f"{logs}.map(probability)") == [probability(log) for log in logs]
    assert page.js("[probability(null), probability(-0.001), probability(0)]") == ["0", "> 0.99", "1"]


@needs_chromium
def test_colours_and_figure_of_an_answer_agree(page):
    """The end is a token too: its box has the colour of its probability."""
    fill(page, "I [word] pasta.")
    shown = page.js(
        """[...document.querySelectorAll(".answer")].map((answer) =>
             [answer.textContent, [...answer.querySelectorAll("b")].map((b) => b.className)])"""
    )
    found = page.js("shown.flatMap((column) => column.candidates.map((candidate) => candidate.answers[0]))")
    for (text, classes), answer in zip(shown, found, strict=True):
        assert text == answer["text"]
        bins = [sum(log >= math.log(bound) for bound in (0.01, 0.05, 0.2, 0.5)) for piece, log in answer["tokens"]]
        assert classes == [*(f"p{n}" for n in bins[:-1]), f"end p{bins[-1]}"]


@needs_chromium
def test_what_was_not_read_of_a_long_text_is_set_off(page):
    page.js("$('cut').checked = true")
    text = "many words " * 60 + "I {eat} pasta." + " and so on" * 60
    fill(page, text)
    unread = page.js("[...document.querySelector('.candidate').querySelectorAll('.unread')].map((s) => s.textContent)")
    assert text.startswith(unread[0])
    assert text.endswith(unread[1])
    page.js("$('judge').click()")
    told = page.until("$('judged-part').textContent")
    assert "The text is too long; not read: " in told
    assert page.js("document.querySelectorAll('#judged .unread').length") == 2
    page.js("$('cut').checked = false; $('judge').click()")
    assert "the model is limited to" in page.until("!$('error').hidden && $('error').textContent")


@needs_chromium
def test_candidates_and_levels_are_saved_with_all_that_makes_them_again(page, tmp_path):
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))

    def saved(button: str, name: str) -> str:
        page.js(f"$('{button}').click()")
        deadline = time.monotonic() + 20
        while not (path := tmp_path / name).exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return path.read_text(encoding="utf-8")

    page.js("$('seed').value = 7")
    fill(page, 'I {eat} "pasta",\n{every day}.')
    found = json.loads(saved("save-json", "candidates.json"))
    assert [model["model"] for model in found["models"]] == ["a1", "b2", "random"]
    assert found["models"][2]["settings"] == DEFAULTS.model_dump() | {"seed": 7, "by_probability": True}
    assert found["models"][2]["fingerprint"] == "of random"
    assert found["about"] == {"versions": versions(), "max_loaded": 8}
    rows = list(csv.DictReader(io.StringIO(saved("save-csv", "candidates.csv"))))
    assert [row["rank"] for row in rows] == ["original", "1", "2"] * 3
    assert rows[0]["filled"].splitlines() == ['I eat "pasta",', "every day."]
    assert json.loads(rows[0]["answers"]) == ["eat", "every day"]
    assert {(row["seed"], row["top_p"], row["candidates"]) for row in rows} == {("7", "", "2")}
    candidates = [c["log_probability"] for model in found["models"] for c in (model["original"], *model["candidates"])]
    assert [float(row["log_probability_nats"]) for row in rows] == candidates
    page.js("$('judge').click()")
    page.until("!$('levels').hidden")
    judged = json.loads(saved("levels-json", "levels.json"))
    rows = list(csv.DictReader(io.StringIO(saved("levels-csv", "levels.csv"))))
    assert [float(row["log_probability_nats"]) for row in rows] == [m["log_probability"] for m in judged["models"]]
    assert [row["share"] for row in rows] == [str(level["share"]) for level in judged["levels"]] + [""]
    assert rows[0]["text"].splitlines() == ['I [word] "pasta",', "[ngram]."]


@needs_chromium
def test_the_form_outlives_a_reload_and_travels_in_a_link(page):
    page.js("$('text').value = 'I {like} 100 % & #_'; $('temperature').value = 0.5; models[0].box.click()")
    page.js("$('text').dispatchEvent(new Event('input', {bubbles: true}))")
    state = "[$('text').value, $('temperature').value, chosen().map((m) => m.name)]"
    typed = ["I {like} 100 % & #_", "0.5", ["b2", "random"]]
    assert page.js(state) == typed
    link = page.js("link()")
    page.call("Page.reload")
    begun = "document.readyState == 'complete' && typeof models != 'undefined' && models.length == 4"
    page.until(f"{begun} && {state}[1] == '0.5'")
    assert page.js(state) == typed
    page.js("sessionStorage.clear()")
    page.call("Page.navigate", url="about:blank")
    page.call("Page.navigate", url=link)
    page.until(begun)
    assert page.js(state) == typed
    assert page.js("$('results').hidden && !running")  # a link asks for nothing by itself
    page.js("$('text').dispatchEvent(new Event('input', {bubbles: true}))")
    assert page.js("location.hash") == ""
    page.js("location.hash = 'text=from+a+link&model=gone&model=a1'")
    page.until("$('text').value == 'from a link'")
    assert page.js("$('error').textContent") == "This server does not have: gone."
    assert page.js("chosen().map((m) => m.name)") == ["a1"]


@needs_chromium
def test_an_example_is_a_click_away(page):
    page.js("document.querySelectorAll('#examples button')[3].click()")
    assert page.js("$('text').value") == page.js("EXAMPLES[3]")
    page.js("$('judge').click()")
    page.until("!$('levels').hidden")
    assert page.js("document.querySelectorAll('.judged').length") == 2


@needs_chromium
def test_a_setting_out_of_range_is_shown_where_it_is(page):
    page.js("$('settings').open = false; $('candidates').value = 99; $('fill').click()")
    assert page.until("document.activeElement.id") == "candidates"
    assert page.js("$('settings').open")
    assert page.js("$('results').hidden")


@needs_chromium
def test_colour_is_not_the_only_carrier(page):
    """Each class of probability has a line of its own below its tokens, too."""
    fill(page, "I [word] pasta.")
    lines = page.js("[...document.querySelectorAll('.swatch')].map((s) => getComputedStyle(s).boxShadow)")
    assert len(set(lines)) == 5


@needs_chromium
def test_texts_from_right_to_left(page):
    fill(page, "\u0645\u0631\u062d\u0628\u0627 [word] \u0627\u0644\u062c\u0645\u064a\u0644")
    directions = (
        "['#text', '.candidate .text', '.figure'].map((s) => getComputedStyle(document.querySelector(s)).direction)"
    )
    assert page.js(directions) == ["rtl", "rtl", "ltr"]


@needs_chromium
def test_the_keyboard_alone_suffices(page):
    # So low that going to an answer scrolls to it, and what it shows has to stay.
    page.call("Emulation.setDeviceMetricsOverride", width=1200, height=350, deviceScaleFactor=1, mobile=False)
    page.js("$('text').focus()")
    page.key("Enter", modifiers=2)
    page.until(DONE)
    for _ in range(60):
        page.key("Tab")
        if page.js("document.activeElement.className") == "answer":
            break
    page.js("new Promise((done) => setTimeout(done, 200))")
    assert page.js("scrollY") > 0
    tip = page.js("$('tip').hidden ? '' : $('tip').textContent")
    assert "product over 2 tokens" in tip
    assert "(end)" in tip
    page.key("Escape")
    assert page.js("$('tip').hidden")
    for _ in range(60):
        page.key("Tab")
        if page.js("document.activeElement.textContent") == "Which level?":
            break
    page.key("Enter")
    page.until("!$('levels').hidden")
    assert page.js("document.activeElement.id") == "levels-title"


@needs_chromium
def test_braces_are_judged_and_shares_shown(page):
    page.js("$('text').value = 'I {eat} pasta.'; $('judge').click()")
    page.until("!$('levels').hidden")
    assert page.js("$('judged').textContent") == "I eat pasta."
    assert page.js("[...document.querySelectorAll('.judged')].map((s) => s.textContent)") == ["eat"]
    rows = page.js("[...$('scores').tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent))")
    assert [row[:2] for row in rows] == [["a1", "A1"], ["b2", "B2"], ["random", "all"]]
    assert all(row[4] == "word" for row in rows)
    shares = page.js("[...document.querySelectorAll('.bar')].map((bar) => bar.textContent)")
    assert [share[:2] for share in shares] == ["A1", "B2"]
    assert page.js("judgement.levels.map(({ share }) => probability(Math.log(share)))") == [s[2:] for s in shares]


@needs_chromium
def test_levels_come_with_their_cautions(page):
    page.js("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.js("$('text').value = 'I {eat} pasta.'; $('judge').click()")
    page.until("!$('levels').hidden")
    visible = "[...document.querySelectorAll('.caution')].filter((e) => e.checkVisibility()).map((e) => e.innerText)"
    general, own = page.js(visible)
    assert "This does not assess a writer" in general
    assert own.startswith("Of unknown training: a1, b2, random.")
    page.js("$('levels-markdown').click()")
    assert own in page.until("window.copied")


@needs_chromium
@pytest.mark.parametrize(
    "text", ["<script>window.hit = 1</script> _", "<img src=x onerror='window.hit = 1'> {a <b>b</b>}"]
)
def test_markup_is_text(page, text):
    fill(page, text)
    shown = page.js("document.querySelector('.candidate .text').textContent")
    assert text[:12] in shown
    page.js("document.querySelector('.answer').focus()")
    page.js("document.querySelector('.candidate button').click()")
    page.until("!$('levels').hidden")
    assert page.js(
        "[window.hit, document.querySelectorAll('main img, main script, main .text > :not(span)').length]"
    ) == [
        None,
        0,
    ]


@needs_chromium
def test_faults_are_shown_on_the_page(page):
    for text, message in (("No blank.", "has no blank"), ("", "Type a text"), ("word " * 3000 + "_", "tokens")):
        page.js(f"fault(''); $('text').value = {json.dumps(text)}; $('fill').click()")
        assert message in page.until("!$('error').hidden && $('error').textContent")
    page.js("fault(''); $('text').value = 'x'.repeat(400000) + ' _'; $('fill').click()")
    assert "Shorten it" in page.until("!$('error').hidden && $('error').textContent")
    page.events = [e for e in page.events if "413" not in str(e)]
    fill(page, "I _.")
    assert page.js("$('error').hidden")


@needs_chromium
def test_what_takes_long_can_be_cancelled(page):
    page.js("models.forEach((m) => { if (m.box.checked !== (m.name === 'slow')) m.box.click(); })")
    page.js("$('text').value = 'I _'; $('fill').click()")
    page.until("!$('cancel').hidden")
    assert re.match(
        r"writing, \d+ tokens? so far",
        page.until(
            "document.querySelector('.state').textContent != 'waiting' && document.querySelector('.state').textContent"
        ),
    )
    # The seconds are not announced, only beginning and end.
    assert page.js("$('status').textContent") == "Filling …"
    assert page.js("$('clock').getAttribute('aria-hidden')") == "true"
    page.js("$('cancel').click()")
    page.until("$('cancel').hidden && $('status').textContent === 'Cancelled.'")
    page.js("models.forEach((m) => { if (m.box.checked !== (m.name === 'a1')) m.box.click(); })")
    fill(page, "I _.")
    assert page.js("document.querySelector('.candidate .text').textContent").startswith("I eat")


@needs_chromium
def test_how_far_it_is_is_told_of_more_models_than_a_browser_has_connections(chrome, models):
    names = [f"slow{number}" for number in range(7)]
    with running(service_with([served(name, "A1", slow(models)) for name in names])) as server:
        chrome.go(server.url)
        chrome.until("typeof models != 'undefined' && models.length == 7 && !!$('text').value")
        chrome.js(
            "models.forEach((m) => { if (!m.box.checked) m.box.click(); }); $('text').value = 'I _'; $('fill').click()"
        )
        states = "[...document.querySelectorAll('.state')].map((state) => state.textContent)"
        # Two are asked, and either may arrive first.
        asked = f"{states}.slice(0, 2).sort().join(' | ')"
        assert chrome.until(f"/^waiting, 1 ahead \\| writing/.test({asked}) && {states}")[2:] == ["waiting"] * 5
        chrome.js("$('cancel').click()")
        chrome.until("$('status').textContent === 'Cancelled.'")
        assert chrome.js(states) == ["cancelled"] * 7


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1200])
def test_it_is_readable_on_any_screen(page, scheme, width):
    fill(page, "I [word] pasta " + "andaverylongwordwithoutanyspace" * 2)
    page.js("$('text').value = 'I {eat} pasta.'; $('judge').click()")
    page.until("!$('levels').hidden")
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=700, deviceScaleFactor=1, mobile=False)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    assert page.js("document.documentElement.scrollWidth") <= width
    # WCAG 2.2, 1.4.3: text against its background at least 4.5 to 1.
    contrasts = page.js(
        """(() => {
          const light = (colour) => {
            const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            const [r, g, b] = colour.match(/[\\d.]+/g).map((v) => linear(v / 255));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ground = (e) => {
            const colour = getComputedStyle(e).backgroundColor;
            return colour === "rgba(0, 0, 0, 0)" ? ground(e.parentElement) : colour;
          };
          const all = ".answer b, .swatch, .figure, .error, button, .judged, .foot, h1, p, td, th, summary, label";
          return [...document.querySelectorAll(all)]
            .map((e) => [light(getComputedStyle(e).color), light(ground(e))].sort((a, b) => b - a))
            .map(([high, low]) => (high + 0.05) / (low + 0.05));
        })()"""
    )
    assert len(contrasts) > 30
    assert min(contrasts) >= 4.5


@needs_chromium
def test_every_field_has_a_name(page):
    page.js("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    fields = [n for n in nodes if n.get("role", {}).get("value") in ("textbox", "spinbutton", "checkbox", "button")]
    assert len(fields) > 12
    assert all(node["name"]["value"] for node in fields)


@needs_chromium
def test_a_server_that_has_ended_is_told(chrome, models):
    with running(service_with([served("a1", "A1", models["a1"])])) as server:
        chrome.go(server.url)
        chrome.until("document.querySelectorAll('#models input').length == 1 && !!$('text').value")
    chrome.js("$('text').value = 'I _'; $('fill').click()")
    assert "The server does not answer" in chrome.until("!$('error').hidden && $('error').textContent")
    assert chrome.js("$('cancel').hidden && $('text').value") == "I _"


def test_the_command_serves_and_ends_with_ctrl_c(tmp_path, models):
    random = models["random"]
    save_model(random.model, random.vocabulary, tmp_path / "m")
    process = Forked(tmp_path, "infill.py", "web=true", f"models=[{tmp_path / 'm'}]", "server.port=0")
    assert "Filling blanks at http://127.0.0.1:" in process.line(0)
    os.kill(process.pid, signal.SIGINT)
    found = process.wait(30)
    assert (found.returncode, found.stdout.split("\n")[1:], found.stderr) == (0, ["", "ended", ""], "")
