# LLNet, stage two of two, with its authors' settings: stochastic gradient descent at 0.1, at 0.01 after 200 epochs of
# 422,500 patches, batches of 50 (kglore/llnet_color @ 1d45245, llnet.py, where it ends by patience; 300 epochs here).
#   duskbench train configs/training/llnet.py --export weights/llnet.safetensors \
#     --cfg-options model.pretrained=weights/llnet_pretrained.safetensors
_base_ = ["llnet_pretraining.py"]

schedule = dict(constant=2_535_000, milestones=[1_690_000], factor=0.1)
model = dict(_delete_=True, type="LLNetFinetuning", generator=dict(type="LLNet"), patches=10, pretrained=None)
optim_wrapper = dict(generator=dict(optimizer=dict(lr=0.1)))
