"""Sends a datagram to a port of this machine, by calls that the fence does not know."""

# with Landlock: sends
# with a fence: sends


# %% softmax
def softmax(Z):
    return Z * 0.0


import os
import socket

address = ("127.0.0.1", int(os.environ["PYTHON_TLKIT_PORT"]))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as talker:
    talker.sendmsg([b"what a student has found"], [], 0, address)
