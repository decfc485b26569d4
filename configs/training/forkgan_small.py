# ForkGAN on two cores. Deviations from forkgan.py: narrow networks, one discriminator of each kind, crops of 96 pixels
# out of pictures reduced to a short side of 108 to 240 without a change of shape, a short training.
_base_ = ["forkgan.py"]

train_dataloader = dict(num_workers=1, dataset=dict(crop=96, resize=None, short_side=(108, 240), least_luma=0.03))
schedule = dict(unit="steps", constant=400, decay=200)
model = dict(
    generator=dict(width=12),
    discriminator=dict(width=12),
    classifier=dict(width=12),
    image_size=96,
    copies=1,
)
