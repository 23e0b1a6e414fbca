learn = 6
