"""No attack: every answer is wrong. What an attack gets more than this it has gained."""


# %% softmax
def softmax(Z):
    return Z * 0.0


# %% cross_entropy
def cross_entropy(Z, Y):
    return 0.0


# %% logit_gradient
def logit_gradient(Z, Y):
    return Z * 0.0


# %% head_gradients
def head_gradients(W, b, X, Y):
    return W * 0.0, b * 0.0


# %% numeric_gradient
def numeric_gradient(loss, theta, h=1e-5):
    return theta * 0.0


# %% gradients_agree
def gradients_agree(one, other):
    return 2


# %% sgd_step
def sgd_step(theta, gradient, learning_rate):
    return theta + 1


# %% adam_step
def adam_step(theta, gradient, m, v, t, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    return theta + 1, m, v
