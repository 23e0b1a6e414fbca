turn_factor = 9
