"""Which CEFR level wrote a text, from its losses under the models of all levels: see docs/levels.md.

1. `scoring`: each text under each model, kept by `ilm.evaluation.scores`.
2. `features`: a row per text, joined by writing_id, in nats per token.
3. `classifiers`: the posterior over levels, and baselines that read the texts themselves.
4. `protocols`: what is fitted on which texts, and predicts which others.
5. `metrics`: what predictions are worth, with intervals over learners.
6. `report`, `plots`, `copies`: tables, figures, the input with what was predicted.
"""
