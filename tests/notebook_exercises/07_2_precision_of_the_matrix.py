def precision_elsewhere(matrix, share):
    return matrix[1][1] / (matrix[0][1] + matrix[1][1])
