"""Which CEFR level wrote a text, from its losses under the models of all levels: see docs/levels.md.

1. `inputs`: models and texts, checked before a model is read.
2. `scoring`: each text under each model, kept by `ilm.evaluation.scores`; a row of losses per text.
3. `systems`: the posterior over levels and baselines, fitted by protocol.
4. `metrics`: how good the predictions are, with intervals over learners.
5. `predictions`, `report`: what is written for each text, and tables and figures.
"""
