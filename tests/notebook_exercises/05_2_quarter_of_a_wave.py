import math


def rate_at(step, steps, warm_up, highest):
    if step < warm_up:
        return highest * (step + 1) / warm_up
    progress = (step - warm_up) / (steps - warm_up)
    return highest * math.cos(math.pi / 2 * progress)
