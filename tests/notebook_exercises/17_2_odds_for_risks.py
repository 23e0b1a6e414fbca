def elsewhere(risks, here, there):
    return risks / (1 - risks) * (there / (1 - there)) / (here / (1 - here))
