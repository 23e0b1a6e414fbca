def leaked(kernel_gradient, bias_gradient):
    return kernel_gradient[:, abs(bias_gradient).argmax()]
