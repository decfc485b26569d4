# Zero-DCE on two cores. The shipped weights are made by this file. Deviations from zero_dce.py: crops instead of whole
# images, mirrored, and a higher learning rate for the few steps.
_base_ = ["zero_dce.py"]

data_root = ["data/unpaired_real", "data/unpaired_miniature"]
train_dataloader = dict(
    num_workers=1, dataset=dict(crop=128, resize=None, short_side=(144, 240), flips=("left_right",))
)
schedule = dict(unit="steps", constant=400, decay=200)
optim_wrapper = dict(generator=dict(optimizer=dict(lr=5e-4)))
