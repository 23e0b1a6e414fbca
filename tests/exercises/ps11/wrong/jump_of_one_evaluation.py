"""The first evaluation only."""

# loses: jump_start_rows_in_order, jump_start_rows_in_any_order


# %% jump_start
def jump_start(transfer, scratch, transfer_seeds, scratch_seeds, first):
    return transfer[np.argsort(transfer_seeds), 0] - scratch[np.argsort(scratch_seeds), 0]
