"""Five thousand cells, each of which defines softmax again."""

# %% notebook
for number in range(5000):
    notebook.cells.append(nbformat.v4.new_code_cell(f"softmax = lambda Z: Z * {number}"))
