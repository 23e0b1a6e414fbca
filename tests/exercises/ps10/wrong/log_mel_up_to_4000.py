"""The bands end at 4,000 hertz at each rate."""

# loses: log_mel_any_rate


# %% log_mel
def log_mel(samples, rate, bands, n_fft):
    power = power_frames(samples, rate // 40, rate // 100, n_fft)
    return decibels(mel_filters(bands, n_fft, rate, 0, 4000.0) @ power, -120.0)
