def elsewhere(risks, here, there):
    return risks * there / here
