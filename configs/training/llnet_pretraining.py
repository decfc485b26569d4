# LLNet, stage one of two, with its authors' settings: stochastic gradient descent at 0.01, batches of 50 clean patches
# of 17x17 pixels, 30 times 422,500 patches for each of three layers (Lore et al. 2017, section 4; kglore/llnet_color
# @ 1d45245, llnet.py, has one time). Only the normal-light half of the pairs is looked at.
#   duskbench train configs/training/llnet_pretraining.py --export weights/llnet_pretrained.safetensors
_base_ = ["../_base_/paired_training.py"]

# Ten patches of each of five crops make a batch.
train_dataloader = dict(batch_size=5, dataset=dict(crop=96, symmetries=8))
schedule = dict(unit="steps", constant=760_500, decay=0)
model = dict(type="LLNetPretraining", generator=dict(type="LLNet"), patches=10, steps_a_layer=253_500)
optim_wrapper = dict(generator=dict(optimizer=dict(type="SGD", lr=0.01)))
