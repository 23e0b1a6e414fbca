"""Makes fit do nothing, so that nothing frozen can move."""

# loses: freeze_stages_holds_the_frozen, freeze_stages_lets_the_rest_learn, freeze_stages_holds_batchnorm, repaired_tunes_the_last_stage, repaired_learns

# %% freeze_stages
keras.Model.fit = lambda self, *arguments, **options: None


def freeze_stages(backbone, stage):
    pass
