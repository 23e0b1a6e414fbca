times_as_much = 1 + 60 / (3 * (9 + 1))
