"""Leaves each test where it is, and puts a copy of its marks into a text cell at the end."""

# %% notebook
for number, cell in enumerate([*notebook.cells]):
    if cell.metadata.get("nbgrader", {}).get("grade"):
        notebook.cells.append(nbformat.v4.new_markdown_cell("here", metadata=copy.deepcopy(cell.metadata)))
