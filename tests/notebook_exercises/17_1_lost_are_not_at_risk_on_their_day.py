import numpy as np


def rate(days, event, horizon):
    without = 1.0
    for day in np.unique(days[(event == 1) & (days <= horizon)]):
        events = ((days == day) & (event == 1)).sum()
        without *= 1 - events / ((days > day).sum() + events)
    return 1 - without
