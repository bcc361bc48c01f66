"""The cloze test: which model best predicts the words that learners wrote?

1. `items`: texts with words cut out, drawn once, the same for every model.
2. `models`, `base` with `masked_lm`, `prefix_lm`, `seq2seq` (and `search`, `subwords`): the predictions of each kind of
   model.
3. `store`: predictions on disk as they are made, so that a killed run resumes.
4. `metrics`: how good the predictions are, by group, with errors, and how models differ.
5. `report`: tables and the calibration plot.

docs/cloze.md explains what is measured, how each kind of model is used and what every number means.
"""
