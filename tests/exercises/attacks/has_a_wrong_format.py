"""A format that does not exist, and cells that no format allows."""

# %% notebook
notebook.nbformat_minor = 99
notebook.cells[0].cell_type = "heading"
notebook.cells[1].outputs = "none"
notebook.cells.append(nbformat.from_dict({"cell_type": "code", "metadata": []}))
