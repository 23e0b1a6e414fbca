"""One draw, five times."""

# loses: my_result_is_true


# %% my_result
def my_result():
    target = load_target()
    plan = choose(target.train.take(PER_CLASS, seed=0), MULTIPLY_ADDS)
    row = compare(target, lambda few, seed: build_and_train(few, plan, seed), [0])
    return plan, np.repeat(row, 5, axis=0)
