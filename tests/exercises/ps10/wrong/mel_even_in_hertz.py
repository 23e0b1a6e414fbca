"""The corners are evenly spaced in hertz."""

# loses: mel_filters_any_bands, mel_filters_any_edges


# %% mel_filters
def mel_filters(bands, n_fft, rate, low, high):
    corners = np.linspace(low, high, bands + 2)
    hertz = np.arange(n_fft // 2 + 1) * rate / n_fft
    return np.array([np.interp(hertz, corners[k : k + 3], [0, 1, 0]) for k in range(bands)])
