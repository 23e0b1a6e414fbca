highest_error_rate = 0
