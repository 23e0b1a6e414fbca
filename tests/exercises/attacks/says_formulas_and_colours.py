"""Names and words that a spreadsheet, a terminal or a template would take for orders."""


# %% softmax
def softmax(Z):
    raise type("=1+1", (Exception,), {})("=cmd|' /C calc'!A0\x1b]0;title\x07\x1b[2J[red]x[/red]{{config}}")


print("\x1b[2J\ud800" + "=1+1")


# %% cross_entropy
def cross_entropy(Z, Y):
    raise AssertionError("\t=1+1\n@SUM(1)")
