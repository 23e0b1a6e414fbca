def steps_to(curve, steps, threshold):
    reached = [step for value, step in zip(curve, steps, strict=True) if value > threshold]
    return reached[0] if reached else steps[-1]
