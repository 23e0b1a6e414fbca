def worth(happened, risks, threshold):
    def benefit(treated):
        needless = (treated & (happened == 0)).mean()
        return (treated & (happened == 1)).mean() - needless * threshold / (1 - threshold)

    return benefit(risks > threshold) - max(0, benefit(risks >= 0))
