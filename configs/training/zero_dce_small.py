# Zero-DCE on two cores: the full network on small crops, with a higher learning rate for the few steps. The shipped
# weights are made by this file.
_base_ = ["zero_dce.py"]

data_root = ["data/unpaired_real", "data/unpaired_miniature"]
train_dataloader = dict(num_workers=1, dataset=dict(crop=128, short_side=(144, 240)))
schedule = dict(unit="steps", constant=400, decay=200)
optim_wrapper = dict(generator=dict(optimizer=dict(lr=5e-4)))
