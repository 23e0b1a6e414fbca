"""Windows of 200 samples, every 80, at each rate."""

# loses: log_mel_any_rate


# %% log_mel
def log_mel(samples, rate, bands, n_fft):
    power = power_frames(samples, 200, 80, n_fft)
    return decibels(mel_filters(bands, n_fft, rate, 0, rate / 2) @ power, -120.0)
