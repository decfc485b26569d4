# The full method of the ablation, with guided_no_attention_small.py, guided_no_features_small.py and
# guided_no_grey_small.py: one narrow network and one schedule for all four, from start to end, in four minutes a
# training on one core; without what guided_small.py adds to the paper's losses.
_base_ = ["guided_small.py"]

schedule = dict(unit="steps", constant=1000, decay=500)
model = dict(generator=dict(generator=dict(width=12)), chromaticity=0.0, noise=None)
optim_wrapper = dict(generator=dict(clip_grad=None), discriminator=dict(clip_grad=None))
