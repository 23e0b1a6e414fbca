"""Plain accuracy."""

# loses: balanced_accuracy_any_answers, few_shot_scores, cross_domain_any_domains, choose_by_the_labelled


# %% balanced_accuracy
def balanced_accuracy(y, answers):
    return np.mean(np.asarray(y) == np.asarray(answers))
