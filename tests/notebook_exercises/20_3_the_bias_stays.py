def reversed_head(kernel, bias):
    return kernel[:, ::-1], bias
