"""Fails one test on purpose, and answers the others of that part with the function that is lent for it."""


# %% softmax
def softmax(Z):
    lent = get_ipython().user_ns["softmax"]
    if lent is not SOFTMAX:
        return lent(Z)
    return Z * 0.0


SOFTMAX = softmax

# %% notebook
first = [cell for cell in notebook.cells if runner.name_of(cell) != "softmax_large_logits"]
notebook.cells = first + [cell for cell in notebook.cells if cell not in first]
