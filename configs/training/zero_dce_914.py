# Zero-DCE on the low-light half of EnlightenGAN's set of 914 low-light and 1016 normal-light images (Table 1).
#   duskbench train configs/training/zero_dce_914.py --export weights/zero_dce.safetensors
_base_ = ["zero_dce.py"]

data_root = "data/enlightengan"
