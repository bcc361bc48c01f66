"""What reaches a terminal."""

from ilm.visible import visible


def test_nothing_that_steers_a_terminal_is_left():
    assert visible("a\x1b[2J\x07\x9bb\x7f\r") == "a␛[2J␇\ufffdb␡␍"
    assert visible("\u202eabc\u2066\u2028\udcff") == "\ufffdabc\ufffd\ufffd\ufffd"
    every = "".join(map(chr, range(0x110000)))
    assert len(visible(every)) == len(every)
    visible(every).encode()  # printable: no half of a surrogate pair
    assert not {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))} - set("\n\t") & set(visible(every))


def test_texts_stay_as_they_are():
    for text in ("She ate.\n\tYes!", "“é” 😀 👩‍👩‍👧 日本", "أحب القهوة \u200f(جدا)"):
        assert visible(text) == text
