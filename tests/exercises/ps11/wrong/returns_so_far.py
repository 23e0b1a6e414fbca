"""The rewards until a step, not those from it on."""

# loses: returns_to_go_one_episode, returns_to_go_several_episodes


# %% returns_to_go
def returns_to_go(rewards, over, discount):
    found, behind = np.zeros(len(rewards)), 0.0
    for t in range(len(rewards)):
        found[t] = behind = rewards[t] + discount * behind
        behind *= 1 - over[t]
    return found
