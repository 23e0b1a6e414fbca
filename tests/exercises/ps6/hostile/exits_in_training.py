"""exit() in place of a model."""

# loses: model_gives_logits, model_has_the_planned_stages, model_keeps_batchnorm, model_within_the_budget, model_beats_the_pixels, model_learns_from_its_labels


# %% build_and_train
def build_and_train(labelled, plan, seed):
    exit()
