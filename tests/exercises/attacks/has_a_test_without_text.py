"""A test cell that has no source: whoever compares it must not stumble, and stop the class."""

# %% notebook
for cell in notebook.cells:
    if cell.metadata.get("nbgrader", {}).get("grade"):
        del cell["source"]
