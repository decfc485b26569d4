# LLNet's first stage on two cores. Deviations from llnet_pretraining.py: those of llnet_small.py.
_base_ = ["llnet_pretraining.py"]

train_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(crop=64, short_side=(96, 240)))
schedule = dict(constant=600)
model = dict(generator=dict(widths=(300, 260, 220, 260, 300)), patches=16, steps_a_layer=200)
