# Zero-DCE on two cores. The shipped weights are made by this file, on two sets one after the other (their card).
# Deviations from zero_dce.py: crops of 128 pixels instead of whole images, mirrored, and a higher learning rate, which
# falls to zero, for the few steps.
_base_ = ["zero_dce.py"]

data_root = ["data/unpaired_real", "data/unpaired_miniature"]
train_dataloader = dict(
    num_workers=1, dataset=dict(crop=128, resize=None, short_side=(128, 320), flips=("left_right",))
)
schedule = dict(unit="steps", constant=500, decay=350)
optim_wrapper = dict(generator=dict(optimizer=dict(lr=4e-4)))
