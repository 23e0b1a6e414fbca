on_paper = 5 / 8 - 1
