highest_error_rate = 1 / 400
