"""Text that may go to a terminal: learners', models' and files' texts hold whatever their writers typed."""

# Control codes are shown as pictures of themselves, or U+FFFD where Unicode has none. Among the latter are overrides of
# the direction of writing, which show a text in another order, and halves of surrogate pairs, which cannot be printed.
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: "\u2421"}
_NONE = (*range(0x80, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000))
_SHOWN = _PICTURES | dict.fromkeys(_NONE, "\ufffd")


def visible(text: str) -> str:
    """The text with one harmless character for each that could steer a terminal; line breaks and tabs stay."""
    return text.translate(_SHOWN)
