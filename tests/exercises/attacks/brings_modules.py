"""Files beside the notebook that bear the names of modules, links, a pipe, and a time of submission."""

# %% files
for name in (
    "numpy.py",
    "sitecustomize.py",
    "usercustomize.py",
    "conftest.py",
    "tlkit/grading.py",
    "tlkit/__init__.py",
):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("raise SystemExit('CANARY')")
for name in ("timestamp.txt", "nbgrader_config.json", "gradebook.db", "=1+1.csv"):
    (folder / name).write_text("2001-01-01 00:00:00 UTC")
(folder / "link.txt").symlink_to("/etc/passwd")
(folder / "linked").symlink_to("/etc")
os.mkfifo(folder / "pipe.txt")
