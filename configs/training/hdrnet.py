# HDRNet with its authors' settings: Adam 1e-4, batch 4, crops of 512 pixels, mirrored and turned, the pointwise guide
# of their scripts (google/hdrnet @ e9a5bf5, hdrnet/bin/train.py, scripts/). The paper trains for two to three days;
# 1500 epochs of LOL's 485 pairs are about 180,000 steps.
#   duskbench data paired data/paired --source data/LOL
#   duskbench train configs/training/hdrnet.py --export weights/hdrnet.safetensors
_base_ = ["../_base_/paired_training.py"]

train_dataloader = dict(batch_size=4, dataset=dict(crop=512, symmetries=8))
schedule = dict(unit="epochs", constant=1500, decay=0)
model = dict(type="HDRNetModel", generator=dict(type="HDRNet", guide="pointwise", norm=False))
optim_wrapper = dict(generator=dict(optimizer=dict(type="Adam", lr=1e-4)))
