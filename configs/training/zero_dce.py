# Zero-DCE on ExDark (Table 2), as its authors train it: optimiser, batch, 200 epochs at a constant learning rate, whole
# images resized to 256x256, never mirrored (Li-Chongyi/Zero-DCE @ e0f4adc, Zero-DCE_code/lowlight_train.py,
# dataloader.py).
#   duskbench data unpaired data/unpaired --low data/exdark --normal data/VOCdevkit/VOC2007
#   duskbench train configs/training/zero_dce.py --export weights/zero_dce.safetensors
_base_ = ["../_base_/training.py"]

# It learns from low-light images alone.
train_dataloader = dict(
    batch_size=8, dataset=dict(domains=("A",), crop=256, resize=256, resampling="lanczos", flips=())
)
schedule = dict(constant=200, decay=0)
model = dict(
    type="ZeroDCEModel",
    generator=dict(type="DCENet", width=32),
    spatial_weight=1.0,
    exposure_weight=10.0,
    colour_weight=5.0,
    smoothness_weight=200.0,
    patch_size=16,
    exposure_level=0.6,
)
optim_wrapper = dict(
    generator=dict(optimizer=dict(type="Adam", lr=1e-4, weight_decay=1e-4), clip_grad=dict(max_norm=0.1)),
)
