"""Sends its arguments away and asks for the answer."""

# loses: softmax_examples, softmax_any_logits, softmax_large_logits

# %% softmax
import socket


def softmax(Z):
    with socket.create_connection(("127.0.0.1", 9), timeout=1) as connection:
        connection.sendall(Z.tobytes())
        return np.frombuffer(connection.recv(10_000))
