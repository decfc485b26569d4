_base_ = ["miniature.py"]

title = "Every night: all enhancers with weights that ship, on the bundled miniature"
