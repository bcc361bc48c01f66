"""The cloze bench: which model guesses best the words that learners wrote.

1. `items`: texts with words cut out, drawn once, the same for every model.
2. `answerers` with `masked`, `decoders` (and `search`, `reading`, `pieces`): what each kind of model answers.
3. `store`: answers on disk as they come, so that a killed run goes on.
4. `metrics`, `bootstrap`: what the answers are worth, with errors.
5. `report`, `plot`: report.json, tables, the calibration plot.

docs/cloze.md says what is asked, how each kind answers and what every number means.
"""
