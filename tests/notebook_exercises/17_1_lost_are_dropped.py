def rate(days, event, horizon):
    happened = (days <= horizon) & (event == 1)
    known = happened | (days > horizon)
    return happened[known].mean()
