def steps_to(curve, steps, threshold):
    reached = [number for number, value in enumerate(curve) if value >= threshold]
    return reached[0] if reached else len(curve) - 1
