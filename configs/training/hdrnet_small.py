# HDRNet on two cores. Deviations from hdrnet.py: crops of 160 pixels out of pictures reduced to a short side of 160 to
# 320, a short training at a higher rate, which falls to zero.
_base_ = ["hdrnet.py"]

train_dataloader = dict(batch_size=4, num_workers=1, dataset=dict(crop=160, short_side=(160, 320)))
schedule = dict(unit="steps", constant=300, decay=300)
optim_wrapper = dict(generator=dict(optimizer=dict(lr=1e-3)))
