"""Scores on the pictures that the models have learned from."""

# loses: scores_are_true, baseline_is_fair

# %% train
# The reference, but:
# - return float(np.mean(model.predict(x, verbose=0).argmax(axis=1) == labels["test"]))
# + return float(np.mean(model.predict(x, verbose=0).argmax(axis=1) == labels["training"]))
# - accuracy = {"pixels": on_test(baseline, shrunk["test"])}
# + accuracy = {"pixels": on_test(baseline, shrunk["training"])}
# - accuracy["frozen"] = on_test(head, features["test"])
# + accuracy["frozen"] = on_test(head, features["training"])
# - accuracy["fine_tuned"] = on_test(model, pixels["test"])
# + accuracy["fine_tuned"] = on_test(model, pixels["training"])
