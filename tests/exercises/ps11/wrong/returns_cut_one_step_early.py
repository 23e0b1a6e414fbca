"""The step after which an episode is over is taken for the next episode's first."""

# loses: returns_to_go_one_episode, returns_to_go_several_episodes


# %% returns_to_go
def returns_to_go(rewards, over, discount):
    found, ahead = np.zeros(len(rewards)), 0.0
    for t in reversed(range(len(rewards))):
        cut = over[t + 1] if t + 1 < len(rewards) else 1
        found[t] = ahead = rewards[t] + discount * ahead * (1 - cut)
    return found
