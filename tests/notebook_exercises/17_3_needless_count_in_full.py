def worth(happened, risks, threshold):
    def benefit(treated):
        return (treated & (happened == 1)).mean() - (treated & (happened == 0)).mean()

    return benefit(risks >= threshold) - max(0, benefit(risks >= 0))
