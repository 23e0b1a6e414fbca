def merged(dense, a, b, alpha):
    kernel, bias = dense.get_weights()
    dense.set_weights([kernel + alpha / a.shape[1] * a @ b, bias])
    return dense
