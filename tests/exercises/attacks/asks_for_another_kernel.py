"""Names a kernel of another language, a language that is a path, and widgets."""

# %% notebook
notebook.metadata = {
    "kernelspec": {"name": "bash", "display_name": "Bash", "language": "bash"},
    "language_info": {"name": "../../x", "pygments_lexer": "../../x", "file_extension": ".sh", "version": []},
    "widgets": {"application/vnd.jupyter.widget-state+json": {"state": {}, "version_major": 2, "version_minor": 0}},
}
