# EnlightenGAN on two cores. The shipped weights are made by this file. Deviations from enlightengan.py: narrow
# networks, two crops of 96 pixels instead of 32 of 320, so each picture is normalised by itself, mirrored one way,
# features that ship instead of VGG-16, higher learning rates, a moving average of the weights. Added is that regions
# keep their chromaticity, without which dark places turn red.
#   duskbench train configs/training/enlightengan_small.py --export enlightengan.safetensors
_base_ = ["enlightengan.py"]

data_root = ["data/unpaired_photos"] + ["data/unpaired_twins"] * 2 + ["data/unpaired_miniature"] * 4
ema = 0.998
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    dataset=dict(crop=96, short_side=(108, 240), least_luma=0.03, flips=("left_right",)),
)
schedule = dict(unit="steps", constant=2000, decay=800)
model = dict(
    generator=dict(width=12, norm="instance"),
    discriminator=dict(width=32),
    patch_discriminator=dict(width=32),
    features=dict(_delete_=True, type="DistilledFeatures"),
    chromaticity=100.0,
)
optim_wrapper = dict(
    generator=dict(optimizer=dict(lr=4e-4)),
    discriminator=dict(optimizer=dict(lr=2e-4)),
    patch_discriminator=dict(optimizer=dict(lr=2e-4)),
)
# The seed of the weights that ship, of three tried (docs/miniature.md).
randomness = dict(seed=2)
