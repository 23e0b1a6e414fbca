"""Moves every solution cell below all tests, and all tests above the first cell."""

# %% notebook
tests = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")]
solutions = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")]
others = [cell for cell in notebook.cells if cell not in tests and cell not in solutions]
notebook.cells = [*tests, *others, *solutions]
