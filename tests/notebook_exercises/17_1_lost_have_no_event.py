def rate(days, event, horizon):
    return ((days <= horizon) & (event == 1)).mean()
