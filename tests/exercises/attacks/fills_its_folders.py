"""Writes 4 GB of temporary files."""

# only in bubblewrap: it would fill the disk


# %% softmax
def softmax(Z):
    return Z * 0.0


for number in range(400):
    with open(f"/tmp/{number}", "wb") as file:
        file.write(bytes(10 * 2**20))
