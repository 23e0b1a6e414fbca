"""The zeros stand in front of the samples, and the bell lies over both."""

# loses: power_frames_any_sound


# %% power_frames
def power_frames(samples, window, hop, n_fft):
    pieces = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    bell = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    return np.abs(np.fft.rfft(np.pad(pieces, ((0, 0), (n_fft - window, 0))) * bell, n_fft)).T ** 2
