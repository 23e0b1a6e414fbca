"""Writes files into memory where no limit was set: /dev/shm, and the root of the sandbox."""

# only in bubblewrap: it would fill the disk


# %% softmax
def softmax(Z):
    return Z * 0.0


for folder in ("/dev/shm", "/", "/dev", "/run", "/fetched"):
    total = 0
    try:
        for number in range(100):
            with open(f"{folder}/{number}", "wb") as file:
                total += file.write(bytes(10 * 2**20))
    except OSError as error:
        print(folder, total >> 20, error)
    if total > 200 * 2**20:
        print("CANARY: a folder without a limit", folder)
