"""The cloze test: which model predicts best the words that learners wrote.

1. `texts`, `items`: texts with words cut out, drawn once, the same for every model.
2. `models`, `base` with `masked_lm`, `seq2seq`, `infilling_lm` (and `search`, `prefix_decoding`, `subwords`): what each
   kind of model predicts.
3. `store`: predictions on disk as they come, so that a killed run resumes.
4. `metrics`, `bootstrap`, `pos_tags`: how good the predictions are, by group, with errors.
5. `report`, `tables`: report.json, tables, the calibration plot.

docs/cloze.md says what is measured, how each kind of model is used and what every number means.
"""
