# EnlightenGAN on two cores. The shipped weights are made by this file. Deviations from enlightengan.py: narrow
# networks, two crops of 96 pixels instead of 32 of 320, mirrored one way, features of the bundled detector instead of
# VGG-16, twice the learning rate, a moving average of the weights.
_base_ = ["enlightengan.py"]

data_root = ["data/unpaired_real", "data/unpaired_miniature"]
ema = 0.998
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    dataset=dict(crop=96, short_side=(108, 240), least_luma=0.03, flips=("left_right",)),
)
schedule = dict(unit="steps", constant=1000, decay=1000)
model = dict(
    generator=dict(width=12),
    discriminator=dict(width=16),
    patch_discriminator=dict(width=16),
    features=dict(_delete_=True, type="DetectorFeatures"),
)
optim_wrapper = dict(
    generator=dict(optimizer=dict(lr=2e-4)),
    discriminator=dict(optimizer=dict(lr=2e-4)),
    patch_discriminator=dict(optimizer=dict(lr=2e-4)),
)
