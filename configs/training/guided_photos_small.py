# The paper's method on photos: one training from start to end on two cores, in a quarter of an hour. The weights that
# ship go on from this recipe (guided_reconstruction_small.py); those of 26 and 27 November 2026 were trained by it.
# Deviations from guided.py: a third of the width; three crops of 96 pixels of photos made small, so each picture is
# normalised by itself; features that ship instead of VGG-16; U(phi(x)) not raised to the fourth power, which leaves
# grey clouds where the features see little, and an x_a that multiplies where EnlightenGAN does; higher learning rates,
# limited gradients, a moving average of the weights. Two things are added that the paper has not: regions keep their
# chromaticity, without which dark places take any colour, and the inputs get a sensor's noise, which what the result
# is compared with has not.
# The weights that ship were trained with the base of an earlier detector in the perceptual loss (their card).
#   duskbench train configs/training/guided_photos_small.py --export guided.safetensors
_base_ = ["guided.py"]

data_root = ["data/unpaired_photos"] + ["data/unpaired_twins"] * 2 + ["data/unpaired_miniature"] * 4
ema = 0.998
features = dict(_delete_=True, type="DistilledFeatures")
train_dataloader = dict(batch_size=3, num_workers=1, dataset=dict(crop=96, short_side=(108, 240), least_luma=0.03))
schedule = dict(unit="steps", constant=2000, decay=800)
model = dict(
    generator=dict(
        generator=dict(width=12, norm="instance"),
        attention=dict(features=features, gamma=1.0),
        layers=["bn1_2", "bn2_2", "bn3_2", "bn4_2", "bn5_1"],
    ),
    discriminator=dict(width=16),
    alpha=6.0,
    perceptual=dict(type="DetectorFeatures", scale=1.0),
    chromaticity=100.0,
    noise=(0.015, 0.0015),
)
optim_wrapper = dict(
    generator=dict(optimizer=dict(lr=4e-4), clip_grad=dict(max_norm=5.0)),
    discriminator=dict(optimizer=dict(lr=2e-4), clip_grad=dict(max_norm=5.0)),
)
