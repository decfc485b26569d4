# KinD, stage two of three, with its authors' settings: Adam 1e-4, halved after 800 of 1000 epochs, batch 4, crops of
# 384 pixels, the first 466 pairs (zhangyhuaee/KinD @ b7d7fcc, reflectance_restoration_net_train.py). The
# decomposition is frozen: weights/kind_decomposition.safetensors if it is there, else the authors'. The trained file
# has 31 MB.
#   duskbench train configs/training/kind_restoration.py --weights weights --export weights/kind_restoration.safetensors
_base_ = ["../_base_/paired_training.py"]

train_dataloader = dict(batch_size=4, dataset=dict(crop=384, symmetries=8, stretch=True, limit=466))
schedule = dict(unit="epochs", constant=1000, decay=0, milestones=[800], factor=0.5)
model = dict(type="KinDRestorationModel", generator=dict(type="KinDRestoration", width=32), decomposition=None)
optim_wrapper = dict(generator=dict(optimizer=dict(type="Adam", lr=1e-4)))
