# The paper's method on two cores, in a quarter of an hour: a narrow U-Net on small crops, with x_a from the features
# that ship instead of VGG-16's. The shipped weights are made by this file, in one run from start to end;
# docs/miniature.md says how it was found. Deviations from guided.py: x_a is not stretched, the pyramid is averaged, the
# generator has no level at 1/16 and no normalisation, alpha is 6, and two things that the paper has not: regions keep
# their chromaticity, without which dark places turn green, violet or orange, and the inputs get a sensor's noise, which
# what the result is compared with has not.
#   duskbench train configs/training/guided_small.py --export guided.safetensors
_base_ = ["../_base_/training.py"]

data_root = ["data/unpaired_photos"] * 2 + ["data/unpaired_miniature"] * 2
ema = 0.998
train_dataloader = dict(batch_size=3, num_workers=1, dataset=dict(crop=96, short_side=(108, 240), least_luma=0.03))
schedule = dict(unit="steps", constant=2200, decay=800)
model = dict(
    type="GuidedGAN",
    generator=dict(
        type="AttentionGuided",
        generator=dict(type="UNet", in_channels=4, width=16, blocks=8, norm="none"),
        attention=dict(
            type="FeatureGuidedAttention", features=dict(type="DistilledFeatures"), gamma=4.0, output="sigmoid"
        ),
        pooling="mean",
    ),
    discriminator=dict(type="MultiscaleDiscriminator", width=16, layers=3, scales=2),
    perceptual=dict(type="DetectorFeatures", scale=1.0),
    alpha=6.0,
    chromaticity=100.0,
    noise=(0.04, 0.004),
)
optim_wrapper = dict(
    generator=dict(optimizer=dict(type="Adam", lr=4e-4, betas=(0.5, 0.999)), clip_grad=dict(max_norm=5.0)),
    discriminator=dict(optimizer=dict(type="Adam", lr=2e-4, betas=(0.5, 0.999)), clip_grad=dict(max_norm=5.0)),
)
