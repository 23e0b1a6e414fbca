"""What follows the end of an episode counts for it."""

# loses: returns_to_go_several_episodes


# %% returns_to_go
def returns_to_go(rewards, over, discount):
    found, ahead = np.zeros(len(rewards)), 0.0
    for t in reversed(range(len(rewards))):
        found[t] = ahead = rewards[t] + discount * ahead
    return found
