# UNIT on two cores. Deviations from unit.py: narrow networks, crops of 96 pixels out of pictures reduced to a short
# side of 108 to 240, a short training at a higher rate, which falls to zero.
_base_ = ["unit.py"]

train_dataloader = dict(num_workers=1, dataset=dict(crop=96, short_side=(108, 240), least_luma=0.03))
schedule = dict(constant=500, decay=300)
model = dict(generator=dict(width=16), discriminators=dict(width=16))
optim_wrapper = dict(generator=dict(optimizer=dict(lr=4e-4)), discriminators=dict(optimizer=dict(lr=4e-4)))
