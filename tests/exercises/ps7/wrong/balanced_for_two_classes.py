"""Takes the classes to be 0 and 1."""

# loses: balanced_accuracy_any_answers, few_shot_scores, cross_domain_any_domains, choose_within_the_budget


# %% balanced_accuracy
def balanced_accuracy(y, answers):
    return (np.mean(answers[y == 0] == 0) + np.mean(answers[y == 1] == 1)) / 2
