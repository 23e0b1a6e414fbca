"""Gives the examiner its own functions as results: the loss of a test, the reference, numbers that there are not."""

# %% numeric_gradient
# uses: peer, answering

TURN = [0]


def numeric_gradient(loss, theta, h=1e-5):
    TURN[0] += 1
    return answering({"~": "yours", "id": [loss.far_number, 0, 10**6, "0", None][TURN[0] % 5]})(theta)


# %% softmax
# uses: peer, answering


def softmax(Z):
    return answering({"~": "list", "items": [{"~": "yours", "id": number} for number in range(4)]})(Z)
