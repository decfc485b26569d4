# CycleGAN on EnlightenGAN's set of 914 low-light and 1016 normal-light images (Table 1).
#   duskbench train configs/training/cyclegan_914.py --export weights/cyclegan.safetensors
_base_ = ["cyclegan.py"]

data_root = "data/enlightengan"
