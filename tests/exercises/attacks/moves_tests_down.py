"""Fails one test of each part, and moves the others below the next part, where the reference answers."""

# %% notebook
first, last = [], []
for cell in notebook.cells:
    marks = cell.metadata.get("nbgrader", {})
    moved = marks.get("grade") and first and first[-1].metadata.get("nbgrader", {}).get("grade")
    (last if moved else first).append(cell)
notebook.cells = first + last
