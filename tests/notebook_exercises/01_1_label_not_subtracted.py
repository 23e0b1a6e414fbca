on_paper = [1 / 8, 2 / 8, 5 / 8]
