"""Exceptions named KeyboardInterrupt, SystemExit, Gone, GeneratorExit and StopIteration, with hostile words."""

# %% softmax
NAMES = [
    "KeyboardInterrupt",
    "SystemExit",
    "Gone",
    "GeneratorExit",
    "StopIteration",
    "_Wrong",
    "SystemError",
    "BaseException",
]
WORDS = '=HYPERLINK("http://x")\x1b[31m <script>attack()</script>\r\n\ud800\u202e{{7*7}} %s'
TURN = [0]


def softmax(Z):
    TURN[0] += 1
    raise type(NAMES[TURN[0] % len(NAMES)], (BaseException,), {})(WORDS)


# %% cross_entropy
def cross_entropy(Z, Y):
    raise [KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration, StopAsyncIteration, SystemError][len(Z) % 6](
        WORDS
    )


# %% logit_gradient
def logit_gradient(Z, Y):
    raise AssertionError(WORDS)
