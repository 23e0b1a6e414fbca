"""Deletes every test, splits every solution, and gives both halves the same name."""

# %% notebook
cells = []
for cell in notebook.cells:
    marks = cell.metadata.get("nbgrader", {})
    if marks.get("grade"):
        continue
    cells.append(cell)
    if marks.get("solution"):
        cells.append(nbformat.v4.new_code_cell("# the other half", metadata=copy.deepcopy(cell.metadata)))
notebook.cells = cells
