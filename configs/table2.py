_base_ = ["_base_/benchmark.py"]

title = "Table 2: ExDark, a VOC-trained detector"
data = dict(root="data/exdark", layout="exdark", split="test")
detector = "rfbnet300_voc"
paper = dict(
    data="ExDark",
    n_images=2563,
    source="Guo et al., ICIP 2021, Table 2; enhancers trained on ExDark and VOC, RFBNet trained on VOC",
    rows={
        "NIQE": {
            "Input": "4.927", "LIME": "4.601", "EG": "4.215", "CycleGAN": "4.539", "Zero-DCE": "4.590", "Ours": "4.168",
        },
        "mAP": {
            "Input": "55.78", "LIME": "55.49", "EG": "54.84", "CycleGAN": "51.95", "Zero-DCE": "55.03", "Ours": "56.99",
        },
    },
)  # fmt: skip
