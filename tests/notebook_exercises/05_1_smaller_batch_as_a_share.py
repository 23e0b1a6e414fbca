steps_of_training = 8 * 100 / 8
