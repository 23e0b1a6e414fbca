def precision_elsewhere(matrix, share):
    (_, false_alarms), (misses, hits) = matrix
    r, f = hits / (hits + misses), false_alarms / (false_alarms + hits)
    return share * r / (share * r + (1 - share) * f)
