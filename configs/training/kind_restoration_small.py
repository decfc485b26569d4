# KinD's restoration on two cores. Deviations from kind_restoration.py: a quarter of the width, crops of 96 pixels out
# of pictures reduced to a short side of 96 to 240, a short training at a higher rate, which falls to zero.
_base_ = ["kind_restoration.py"]

train_dataloader = dict(batch_size=4, num_workers=1, dataset=dict(crop=96, short_side=(96, 240)))
schedule = dict(unit="steps", constant=200, decay=200, milestones=[])
model = dict(generator=dict(width=8))
optim_wrapper = dict(generator=dict(optimizer=dict(lr=1e-3)))
