def lora_weights(kernels, rank):
    return sum(2 * rank * inputs for inputs, outputs in kernels)
