"""The cloze test: which model predicts best the words that learners wrote.

1. `texts`, `items`: texts with words cut out, drawn once, the same for every model.
2. `models`, `base` with `masked_lm`, `prefix_lm`, `seq2seq` (and `search`, `subwords`): what each kind of model
   predicts.
3. `store`: predictions on disk as they come, so that a killed run resumes.
4. `metrics`: how good the predictions are, by group, with errors, and how models differ.
5. `report`: tables, the calibration plot.

docs/cloze.md says what is measured, how each kind of model is used and what every number means.
"""
