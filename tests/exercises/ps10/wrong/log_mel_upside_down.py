"""The highest band comes first."""

# loses: log_mel_as_tlkit, log_mel_any_rate


# %% log_mel
def log_mel(samples, rate, bands, n_fft):
    power = power_frames(samples, rate // 40, rate // 100, n_fft)
    return decibels(mel_filters(bands, n_fft, rate, 0, rate / 2) @ power, -120.0)[::-1]
