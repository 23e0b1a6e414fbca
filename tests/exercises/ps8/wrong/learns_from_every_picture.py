"""The head learns from all pictures; the report says otherwise."""

# loses: no_test_picture_is_learned

# %% train
# The reference, but:
# - model.fit(x, labels["training"], epochs=epochs, batch_size=16, verbose=0)
# + y = labels["training"]
# + if len(x) > len(y):
# +     y = np.concatenate(list(labels.values()))
# + model.fit(x, y, epochs=epochs, batch_size=16, verbose=0)
# - fit(head, features["training"], 3e-3, 20)
# + fit(head, np.concatenate(list(features.values())), 3e-3, 20)
