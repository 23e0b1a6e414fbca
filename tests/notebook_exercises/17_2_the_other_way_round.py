def elsewhere(risks, here, there):
    odds = risks / (1 - risks) * (here / (1 - here)) / (there / (1 - there))
    return odds / (1 + odds)
