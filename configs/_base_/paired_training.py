# What the trainings on pairs have in common: `low` and `high` as `duskbench data paired` writes them, or LOL's our485
# as it is; a list takes several together.
_base_ = ["training.py"]

data_root = "data/paired"
train_dataloader = dict(dataset=dict(_delete_=True, type="PairedCrops", crop=256))
