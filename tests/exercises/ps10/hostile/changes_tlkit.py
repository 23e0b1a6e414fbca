"""Rigs tlkit.speech and scipy.signal, in case a test compares with them."""

# loses: mel_filters_any_bands, mel_filters_any_edges, log_mel_as_tlkit, log_mel_any_rate

# %% mel_filters
import scipy.signal

import tlkit.speech

for module in (tlkit.speech, scipy.signal):
    for name in module.__all__:
        setattr(module, name, lambda *arguments, **options: np.ones((2, 2)))


def mel_filters(bands, n_fft, rate, low, high):
    return tlkit.speech.mel_filters(bands)


# %% log_mel
def log_mel(samples, rate, bands, n_fft):
    return tlkit.speech.log_mel(samples, rate)
