"""The texts of the page: in every language the same, and all of them in their files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

import app
from nst_core import Settings, SettingsError, errors
from nst_core.engine.choices import CHOICES
from nst_core.presets import PRESETS
from nst_core.sentence import Sentence
from page import controls, gradio_inside, texts, turns, words

OTHERS = texts.LANGUAGES[1:]

# Of whoever starts the program, and never of a visitor.
NOT_FOR_VISITORS = ("nst_core/cli", "nst_core/many", "nst_core/weights")

# What makes a sentence: its first argument is the template.
SENTENCES = {
    name
    for room in (errors, turns)
    for name, one in vars(room).items()
    if isinstance(one, type) and issubclass(one, errors.NSTError)
} | {"Sentence", "error"}

# What of a component is read; of those in `SAID` the first argument as well.
SHOWN = {"label", "info", "placeholder", "alt_text", "title", "value", "x_title", "y_title"}
SAID = {"Accordion", "Button", "DownloadButton", "Error", "Info", "Markdown", "Tab", "UploadButton"}
SAID |= {"Warning"}
CHOOSERS = {"Radio", "Dropdown", "CheckboxGroup"}  # whose values are names
OWN = {"Shown"}  # of the page, given to components


def calls(folder: str) -> Iterator[tuple[Path, str, ast.Call]]:
    """All calls below a folder: file, name of what is called, call."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                yield path.relative_to(ROOT), name, node


def sentences() -> Iterator[tuple[Path, ast.expr]]:
    """The templates of all that is told to a visitor."""
    for folder in ("nst_core", "page"):
        for path, name, call in calls(folder):
            is_made = name in SENTENCES and call.args
            is_visitors = not str(path).startswith(NOT_FOR_VISITORS)
            if is_made and is_visitors and path.name not in ("errors.py", "sentence.py"):
                yield path, call.args[0]


# --- The files ----------------------------------------------------------------------------------


def test_there_is_more_than_english():
    assert texts.LANGUAGES[0] == "en"
    assert "de" in OTHERS


@pytest.mark.parametrize("language", OTHERS)
def test_each_text_is_there_with_the_same_fields(language):
    english, own = texts.TEXTS["en"], texts.TEXTS[language]
    assert set(texts.OWN_ENGLISH) <= set(own) <= set(english)
    for key, text in own.items():
        assert texts.fields(text) == texts.fields(english[key]), key


@pytest.mark.parametrize("language", OTHERS)
def test_settings_choices_and_presets_have_a_name(language):
    own = texts.TEXTS[language]
    keys = [f"settings.{name}.{what}" for name in controls.NAMES for what in ("label", "help")]
    keys += [f"presets.{name}.label" for name in PRESETS]
    fields = [name for name in controls.NAMES if name in CHOICES and not name.endswith("_layer")]
    keys += [
        f"choices.{field}.{name}"
        for field in fields
        if not field.endswith("_layers")
        for name in CHOICES[field]
    ]
    assert [key for key in keys if key not in own] == []


def test_choices_are_labelled_in_english_as_well():
    """But for layers, which are called as Keras calls them."""
    for field in controls.NAMES:
        if field in CHOICES and not field.startswith(("content_layer", "style_layers")):
            for label, name in controls.choices(field, CHOICES[field]):
                assert label != name, (field, name)


@pytest.mark.parametrize("changed", ["missing", "unknown", "field", "sentence"])
def test_a_language_that_differs_is_refused_at_once(changed, monkeypatch):
    own, said = dict(texts.TEXTS["de"]), dict(texts.SENTENCES["de"])
    if changed == "missing":
        del own["tools.paint"]
    elif changed == "unknown":
        own["tools.pain"] = "Malen"
    elif changed == "field":
        own["tools.paint_time"] = "Malen · {second} s"
    else:
        said["try size={size}"] = "versuchen Sie die Größe {side}"
    monkeypatch.setitem(texts.TEXTS, "de", own)
    monkeypatch.setitem(texts.SENTENCES, "de", said)
    with pytest.raises(ValueError, match=r"de\.toml differs"):
        texts.check("de")


# --- All of it ----------------------------------------------------------------------------------


def test_sentences_are_templates():
    """An f-string could not be told in another language."""
    for path, template in sentences():
        assert isinstance(template, ast.Constant), (path, template.lineno)


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_is_told_in_each_language_and_no_other(language):
    templates = {ast.literal_eval(template) for _, template in sentences()}
    assert templates == set(texts.SENTENCES[language])


def test_no_text_of_the_page_stands_in_its_code():
    found = [
        (str(path), one.lineno, ast.unparse(one))
        for path, name, call in calls("page")
        for one in shown_by(name, call)
        if has_words(one)
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        'gr.Tab("Film", id="film")',
        'gr.Radio([("for a time", 1)], value=1)',
        'gr.Slider(0, 1, label=f"Weight {number}")',
        'gr.update(value="Paint" + length)',
        'gr.Warning("No." if is_bad else say("yes"))',
        'Shown(None, "Ready.")',
    ],
)
def test_a_text_in_the_code_would_be_found(code):
    call = ast.parse(code, mode="eval").body
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    assert any(has_words(one) for one in shown_by(name, call))


def shown_by(name: str, call: ast.Call) -> Iterator[ast.expr]:
    """What a call of Gradio's, or of the page's own that passes it on, shows."""
    if ast.unparse(call.func) != f"gr.{name}" and name not in OWN:
        return
    of_choices = {"value"} if name in CHOOSERS else set()
    yield from (one.value for one in call.keywords if one.arg in SHOWN - of_choices)
    if name in SAID:
        yield from call.args[:1]
    if name in OWN:
        yield from call.args
    if name in CHOOSERS:
        yield from (
            one.elts[0] for one in ast.walk(call) if isinstance(one, ast.Tuple) and one.elts
        )


def has_words(one: ast.expr) -> bool:
    """Whether there is a literal with letters in it that is no key of a text."""
    if isinstance(one, ast.Constant):
        return isinstance(one.value, str) and any(letter.isalpha() for letter in one.value)
    if isinstance(one, ast.JoinedStr):
        return any(map(has_words, one.values))
    if isinstance(one, ast.BinOp):
        return has_words(one.left) or has_words(one.right)
    return isinstance(one, ast.IfExp) and (has_words(one.body) or has_words(one.orelse))


def test_every_key_that_is_asked_for_is_there_and_the_other_way_round():
    keys = {
        ast.literal_eval(call.args[0])
        for folder in ("page",)
        for _, name, call in calls(folder)
        if name == "say" and call.args and isinstance(call.args[0], ast.Constant)
    } | {key for one in conditional_keys() for key in one}
    made = ("terms.", "choices.", "settings.", "presets.", "camera.")  # their keys are put together
    own = {key for key in texts.OWN_ENGLISH if not key.startswith(made)}
    ones = {"status.done_one", "status.waiting_one", "found.faces_one"}  # of `count`
    assert own - keys == ones
    assert keys - set(texts.TEXTS[texts.ENGLISH]) == set()


def conditional_keys() -> Iterator[list[str]]:
    """The keys that stand in a condition, or are counted."""
    for _, name, call in calls("page"):
        if name == "count" and call.args and isinstance(call.args[0], ast.Constant):
            yield [ast.literal_eval(call.args[0])]
        if name == "say" and call.args and isinstance(call.args[0], ast.IfExp):
            yield [ast.literal_eval(one) for one in (call.args[0].body, call.args[0].orelse)]


# --- Which language -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("DE-at", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("xx, de;q=0.5, en;q=0.3", "de"),
        ("*", "en"),
        (";;,,=", "en"),
    ],
)
def test_the_first_language_that_is_here(accepted, language):
    assert texts.best(accepted) == language


def test_an_event_is_answered_in_the_language_of_its_browser(monkeypatch):
    assert texts.say("tools.stop") == "Stop"
    monkeypatch.setattr(gradio_inside, "accepted_languages", lambda: "de")
    assert texts.say("tools.stop") == "Stopp"
    assert words.seconds_text(61) == "1 min 1 s"


def test_fractions_have_the_point_or_comma_of_the_language(monkeypatch):
    error = errors.SettingsError("{value} of {wanted:g} to {steps}", value=0.5, wanted=2.5, steps=7)
    assert words.bytes_text(1_240_000) == "1.2 MB"
    assert texts.retell(error) == "0.5 of 2.5 to 7"
    monkeypatch.setattr(gradio_inside, "accepted_languages", lambda: "de")
    assert words.bytes_text(1_240_000) == "1,2 MB"
    assert texts.retell(error) == "0,5 of 2,5 to 7"


def test_browsers_get_the_page_in_their_language_and_programs_in_english():
    page = app.make_page()
    page.config = page.get_config_file()
    with texts.speaking("de"):
        german, api = page.config, page.get_api_info()
    english = page.config
    assert without_texts(english) == without_texts(german)
    assert "Vorher und nachher" in str(german)
    assert "Vorher und nachher" not in str(english)
    assert "Gemälde" not in str(api)


def without_texts(tree):
    if isinstance(tree, dict):
        return {key: without_texts(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [without_texts(one) for one in tree]
    return "" if isinstance(tree, str) else tree


# --- Sentences ----------------------------------------------------------------------------------


def test_a_sentence_is_a_text_that_can_be_told_again():
    sentence = Sentence("{what} is {size:.1f}", what=Sentence("a {thing}", thing="side"), size=2)
    assert sentence == "a side is 2.0"
    assert sentence.values["what"].template == "a {thing}"
    assert Sentence(sentence) is sentence
    assert Sentence("{braces} stay") == "{braces} stay"


def test_errors_are_told_in_german(monkeypatch):
    with pytest.raises(SettingsError, match="size is 3, but it must be between 64") as raised:
        Settings(size=3)
    assert texts.retell(raised.value) == str(raised.value)
    monkeypatch.setattr(gradio_inside, "accepted_languages", lambda: "de")
    told = "Größe: 3 geht nicht, möglich ist ein Wert von 64 bis 4096 px."
    assert texts.retell(raised.value) == told
    assert texts.retell(MemoryError("7 bytes")) == "7 bytes"


def test_a_setting_is_called_for_visitors_as_on_the_page(monkeypatch):
    error = errors.SettingsError(
        "{setting} is {value}, but it must be {wanted}.",
        setting="tv_weight",
        value="-1",
        wanted=Sentence("a text"),
    )
    assert str(error).startswith("tv_weight is")
    monkeypatch.setattr(gradio_inside, "accepted_languages", lambda: "en-US")
    assert texts.retell(error) == "Smoothness is -1, but it must be a text."
    monkeypatch.setattr(gradio_inside, "accepted_languages", lambda: "")  # another program
    assert texts.retell(error) == str(error)
