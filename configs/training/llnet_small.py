# LLNet on two cores. Deviations from llnet.py: narrow layers, crops out of pictures reduced to a short side of 96 to
# 240, no stage before, Adam, a short training whose rate falls to zero.
_base_ = ["llnet.py"]

train_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(crop=64, short_side=(96, 240)))
schedule = dict(constant=500, decay=500, milestones=[])
model = dict(generator=dict(widths=(300, 260, 220, 260, 300)), patches=16)
optim_wrapper = dict(generator=dict(optimizer=dict(_delete_=True, type="Adam", lr=1e-3)))
