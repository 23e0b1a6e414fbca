import math


def rate_at(step, steps, warm_up, highest):
    if step < warm_up:
        return highest * (step + 1) / warm_up
    progress = step / steps
    return highest * (1 + math.cos(math.pi * progress)) / 2
