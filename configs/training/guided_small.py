# An older training of the paper's method on two cores, in about a quarter of an hour: a narrow U-Net on small crops,
# guided by the bundled detector's base instead of VGG-16; the base of the ablations (docs/miniature.md). Older than the
# readings in guided.py: x_a is not stretched, the features have no scale (so that x_a is nearly constant), the pyramid
# is averaged, and the generator has no level at 1/16.
_base_ = ["../_base_/training.py"]

data_root = ["data/unpaired_real", "data/unpaired_miniature"]
ema = 0.998
features = dict(type="DetectorFeatures", scale=1.0)
train_dataloader = dict(batch_size=3, num_workers=1, dataset=dict(crop=96, short_side=(108, 240), least_luma=0.03))
schedule = dict(unit="steps", constant=2200, decay=800)
model = dict(
    type="GuidedGAN",
    generator=dict(
        type="AttentionGuided",
        generator=dict(type="UNet", in_channels=4, width=16, blocks=8, norm="none"),
        attention=dict(type="FeatureGuidedAttention", features=features, gamma=4.0, output="sigmoid"),
        pooling="mean",
    ),
    discriminator=dict(type="MultiscaleDiscriminator", width=16, layers=3, scales=2),
    alpha=6.0,
)
optim_wrapper = dict(
    generator=dict(optimizer=dict(type="Adam", lr=4e-4, betas=(0.5, 0.999))),
    discriminator=dict(optimizer=dict(type="Adam", lr=2e-4, betas=(0.5, 0.999))),
)
