weights_that_learn = 7 * 1280
