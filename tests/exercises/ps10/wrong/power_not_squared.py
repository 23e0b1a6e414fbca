"""The amplitude."""

# loses: power_frames_examples, power_frames_any_sound


# %% power_frames
def power_frames(samples, window, hop, n_fft):
    pieces = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    bell = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    return np.abs(np.fft.rfft(pieces * bell, n_fft)).T
