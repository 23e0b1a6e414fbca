"""Prints a gigabyte, shows ten thousand pictures, and raises an error of 100 MB."""


# %% softmax
def softmax(Z):
    return Z * 0.0


from IPython.display import display

for _ in range(10_000):
    display({"text/plain": "x" * 10_000}, raw=True)
try:
    for _ in range(1000):
        print("x" * 10**6)
except RuntimeError:
    pass
raise ValueError("x" * 10**8)
