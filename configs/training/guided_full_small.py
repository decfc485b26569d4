# The full method of the ablation, with guided_no_attention_small.py, guided_no_features_small.py and
# guided_no_grey_small.py: one narrow network and one schedule for all four, from start to end, in some four minutes a
# training on one core. The losses are those of guided_photos_small.py.
_base_ = ["guided_small.py"]

data_root = ["data/unpaired_photos", "data/unpaired_miniature", "data/unpaired_miniature"]
train_dataloader = dict(dataset=dict(crop=96, short_side=(108, 260), least_luma=0.03))
schedule = dict(unit="steps", constant=900, decay=300)
model = dict(
    generator=dict(generator=dict(width=12), attention=dict(features=dict(_delete_=True, type="DistilledFeatures"))),
    perceptual=dict(type="DistilledFeatures"),
    alpha=5.0,
    normalised=True,
    identity=0.5,
)
custom_hooks = [dict(type="LossGuard")]
