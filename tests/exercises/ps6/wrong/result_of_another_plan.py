"""A plan that did well in somebody else's project."""

# loses: my_result_is_true


# %% my_result
def my_result():
    plan = ("resnet_printed", 3)
    return plan, compare(load_target(), lambda few, seed: build_and_train(few, plan, seed), range(5))
