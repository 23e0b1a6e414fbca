"""Scripts in Markdown, in what a cell shows, in exceptions, in a cell's id and in the notebook's title."""


# %% softmax
def softmax(Z):
    return Z * 0.0


from IPython.display import HTML, Javascript, Markdown, SVG, display

display(
    HTML("<script>attack()</script><img src=x onerror=attack()>"),
    Markdown("<script>attack()</script><img src=x onerror=attack()>"),
    Javascript("attack()"),
)
display({"image/svg+xml": "<svg onload=attack()></svg>", "application/x-attack": "attack()"}, raw=True)
print("<script>attack()</script><img src=x onerror=attack()>")


# %% sgd_step
def sgd_step(theta, gradient, learning_rate):
    raise type("<script>attack()</script><img src=x onerror=attack()>", (Exception,), {})(
        "<script>attack()</script><img src=x onerror=attack()>"
    )


# %% notebook
notebook.metadata["title"] = "<script>attack()</script><img src=x onerror=attack()>"
notebook.cells.insert(
    0,
    nbformat.v4.new_markdown_cell("<script>attack()</script><img src=x onerror=attack()> [link](javascript:attack())"),
)
notebook.cells.insert(
    1,
    nbformat.v4.new_raw_cell(
        "<script>attack()</script><img src=x onerror=attack()>", metadata={"raw_mimetype": "text/html"}
    ),
)
