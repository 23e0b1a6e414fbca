weights_of_block = 3 * 3 * 128 * 256 + 3 * 3 * 256 * 256
