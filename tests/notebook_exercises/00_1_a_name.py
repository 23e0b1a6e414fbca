weights_that_learn = "all of the head"
