# KinD, stage one of three, with its authors' settings: Adam 1e-4, batch 10, 2000 epochs of crops of 48 pixels in eight
# symmetries, each picture stretched to its own minimum and maximum (zhangyhuaee/KinD @ b7d7fcc,
# decomposition_net_train.py). On pairs in low and normal light: LOL's our485, or any that `duskbench data paired`
# makes. The authors' weights are taken where there are none of this stage, so it is needed on other data only.
#   duskbench data paired data/paired --source data/LOL
#   duskbench train configs/training/kind_decomposition.py --export weights/kind_decomposition.safetensors
_base_ = ["../_base_/paired_training.py"]

train_dataloader = dict(batch_size=10, dataset=dict(crop=48, symmetries=8, stretch=True))
schedule = dict(unit="epochs", constant=2000, decay=0)
model = dict(type="KinDDecompositionModel", generator=dict(type="KinDDecomposition"))
optim_wrapper = dict(generator=dict(optimizer=dict(type="Adam", lr=1e-4)))
