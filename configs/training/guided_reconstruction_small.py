# The shipped weights of the paper's method: one training from start to end, an hour on one core.
# guided_photos_small.py, and one thing more that the paper has not: normal-light pictures, underexposed by a camera
# model with a sensor's noise, are to come back. That teaches a network this small to take the noise away, which costs
# the detectors more than the missing light (docs/miniature.md, 51); the light is almost even over a crop, as otherwise
# the edges of skies and pictures glow (54). A little wider, on larger crops of larger photos.
# The weights that ship were trained with the base of an earlier detector in the perceptual loss (their card).
#   duskbench train configs/training/guided_reconstruction_small.py --export guided.safetensors
_base_ = ["guided_photos_small.py"]

train_dataloader = dict(batch_size=4, dataset=dict(crop=128, short_side=(160, 296)))
schedule = dict(constant=3000, decay=1200)
model = dict(
    generator=dict(generator=dict(width=14)),
    alpha=3.0,
    reconstruction=dict(pixels=3.0, features=12.0, stops=(1.0, 6.5), spread=1.5),
)
