"""Formulas that a converter would take hours for or end on, that define macros without end, and that hold scripts."""

# %% notebook
hostile = [
    "(" * 60,
    "[" * 60,
    r"\bigl(" * 60,
    "{" * 100_000 + "}" * 100_000,
    r"\hat" * 100_000 + " x",
    r"\begin{matrix}" * 20_000 + r"\end{matrix}" * 20_000,
    r"\newcommand{\a}{\hat\hat\hat\hat}\a\a\a\a x",
    r"\def\a{\a\a}\a",
    r"\text{<script>attack()</script>}",
    r"\href{javascript:attack()}{x}",
    r"\color{red;background:url(javascript:attack())} x",
    "x" * 1_000_000,
]
written = [f"a ${formula}$ b\n\n$${formula}$$\n" for formula in hostile]
written.append('<img alt=">$x\\text{ onerror=attack() }$" src=x>')
for number, text in enumerate(written):
    notebook.cells.insert(number, nbformat.v4.new_markdown_cell(text, id=f"formula-{number}"))
