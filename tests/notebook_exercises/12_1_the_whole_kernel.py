def lora_weights(kernels, rank):
    return sum(rank * inputs * outputs for inputs, outputs in kernels)
