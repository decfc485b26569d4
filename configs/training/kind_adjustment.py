# KinD, stage three of three, with its authors' settings: Adam 1e-4, batch 10, 2000 epochs of crops of 48 pixels in
# seven symmetries, the first 450 pairs (zhangyhuaee/KinD @ b7d7fcc, adjustment_net_train.py). The decomposition is
# frozen, see kind_restoration.py.
#   duskbench train configs/training/kind_adjustment.py --weights weights --export weights/kind_adjustment.safetensors
_base_ = ["../_base_/paired_training.py"]

train_dataloader = dict(batch_size=10, dataset=dict(crop=48, symmetries=7, stretch=True, limit=450))
schedule = dict(unit="epochs", constant=2000, decay=0)
model = dict(type="KinDAdjustmentModel", generator=dict(type="KinDAdjustment"), decomposition=None)
optim_wrapper = dict(generator=dict(optimizer=dict(type="Adam", lr=1e-4)))
