learn = 0
