# The paper's method on EnlightenGAN's 914 low-light and 1016 normal-light images (Table 1).
#   duskbench train configs/training/guided_914.py --cfg-options data_root=final_dataset
_base_ = ["guided.py"]

data_root = "data/enlightengan"
