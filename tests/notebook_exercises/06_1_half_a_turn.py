turn_factor = 9 / 180
