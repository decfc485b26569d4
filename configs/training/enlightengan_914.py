# EnlightenGAN on its own set of 914 low-light and 1016 normal-light images (Table 1).
#   duskbench train configs/training/enlightengan_914.py --export weights/enlightengan.safetensors
_base_ = ["enlightengan.py"]

data_root = "data/enlightengan"
