"""np.hanning, whose last sample is 0 too."""

# loses: power_frames_examples, power_frames_any_sound


# %% power_frames
def power_frames(samples, window, hop, n_fft):
    pieces = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    bell = np.hanning(window)
    return np.abs(np.fft.rfft(pieces * bell, n_fft)).T ** 2
