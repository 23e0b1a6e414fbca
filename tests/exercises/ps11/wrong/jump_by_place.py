"""Rows are paired by their place."""

# loses: jump_start_rows_in_any_order


# %% jump_start
def jump_start(transfer, scratch, transfer_seeds, scratch_seeds, first):
    return (transfer - scratch)[:, :first].mean(axis=1)
