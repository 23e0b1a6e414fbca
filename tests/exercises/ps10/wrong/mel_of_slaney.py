"""Another mel scale: even in hertz up to 1,000 hertz."""

# loses: mel_filters_any_bands, mel_filters_any_edges


# %% mel_filters
def mel_filters(bands, n_fft, rate, low, high):
    def to_mel(f):
        return np.where(f < 1000, 3 * f / 200, 15 + 27 * np.log(np.maximum(f, 1000) / 1000) / np.log(6.4))

    fine = np.linspace(0, rate / 2, 100_001)
    ends = to_mel(np.array([low, high]))
    corners = np.interp(np.linspace(ends[0], ends[1], bands + 2), to_mel(fine), fine)
    hertz = np.arange(n_fft // 2 + 1) * rate / n_fft
    return np.array([np.interp(hertz, corners[k : k + 3], [0, 1, 0]) for k in range(bands)])
