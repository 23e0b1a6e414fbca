"""Files that the grader's process would import, if Python looked where the command was started."""

# %% files
for name in ("psutil.py", "sqlalchemy.py", "nbgrader.py"):
    (folder.parent / name).write_text("raise SystemExit('CANARY')")
