# The shipped weights of the paper's method: those of guided_small.py go on learning, on many more photos, with x_a from
# features that tell one photo's places apart; the perceptual loss compares normalised maps, which keeps colours, and
# normal-light pictures are to stay as they are. The mean of the weights before and after is what ships.
#   duskbench train configs/training/guided_small.py --export guided_small.safetensors
#   duskbench train configs/training/guided_photos_small.py --export guided.safetensors
_base_ = ["guided_small.py"]

data_root = ["data/unpaired_photos", "data/unpaired_miniature", "data/unpaired_miniature"]
train_dataloader = dict(dataset=dict(crop=96, short_side=(108, 260), least_luma=0.03))
schedule = dict(unit="steps", constant=700, decay=500)
model = dict(
    generator=dict(attention=dict(features=dict(_delete_=True, type="DistilledFeatures"))),
    perceptual=dict(type="DistilledFeatures"),
    alpha=5.0,
    normalised=True,
    identity=0.5,
)
optim_wrapper = dict(generator=dict(optimizer=dict(lr=2e-4)))
custom_hooks = [
    dict(type="LossGuard"),
    dict(type="SampleGrid", interval=100, images=6),
    dict(type="StartFrom", weights="guided_small.safetensors", share=0.67),
]
