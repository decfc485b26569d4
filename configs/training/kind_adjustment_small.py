# KinD's adjustment on two cores. Deviations from kind_adjustment.py: a short training at a higher rate,
# which falls to zero, out of pictures reduced to a short side of 96 to 240.
_base_ = ["kind_adjustment.py"]

train_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(short_side=(96, 240)))
schedule = dict(unit="steps", constant=200, decay=200)
optim_wrapper = dict(generator=dict(optimizer=dict(lr=1e-3)))
