def leaked(kernel_gradient, bias_gradient):
    return kernel_gradient.sum(axis=1)
