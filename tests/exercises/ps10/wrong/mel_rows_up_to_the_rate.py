"""The rows are taken to end at the rate."""

# loses: mel_filters_any_bands, mel_filters_any_edges


# %% mel_filters
def mel_filters(bands, n_fft, rate, low, high):
    ends = 2595 * np.log10(1 + np.array([low, high]) / 700)
    corners = 700 * (10 ** (np.linspace(ends[0], ends[1], bands + 2) / 2595) - 1)
    hertz = np.arange(n_fft // 2 + 1) * rate / (n_fft // 2)
    return np.array([np.interp(hertz, corners[k : k + 3], [0, 1, 0]) for k in range(bands)])
