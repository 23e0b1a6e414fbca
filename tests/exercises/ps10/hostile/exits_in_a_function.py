"""sys.exit() in a function fails its checks, and no others; quit() in a cell ends nothing."""

# loses: power_frames_examples, power_frames_any_sound, power_frames_whole_windows

# %% power_frames
import sys


def power_frames(samples, window, hop, n_fft):
    sys.exit(0)


quit()
