# The full method of the ablation, with guided_no_attention_small.py, guided_no_features_small.py and
# guided_no_grey_small.py: one narrow network and one schedule for all four, from start to end, in four minutes a
# training on one core; x_a from the features that ship, as in the weights that ship.
_base_ = ["guided_small.py"]

data_root = ["data/unpaired_photos"] * 2 + ["data/unpaired_miniature"] * 2
schedule = dict(unit="steps", constant=1000, decay=500)
model = dict(
    generator=dict(generator=dict(width=12), attention=dict(features=dict(_delete_=True, type="DistilledFeatures"))),
    perceptual=dict(type="DetectorFeatures", scale=1.0),
)
