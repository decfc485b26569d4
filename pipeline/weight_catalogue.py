"""The published weight files: origin, address, hash and licence of each, as data.

No hash or address here is a guess. Where nobody has published a hash it is None.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightFile:
    """One published weight file.

    Attributes:
        name: `<method>/<file>`, the name in the catalogue and the path below each folder of the search path.
        origin: Repository @ commit, or the page that publishes it.
        urls: Mirrors, best first; Google Drive files need the extra `drive`, `hf://` addresses the extra `hub`.
        sha256: All 64 digits, or the first 8 where that is what was published; None where nothing was.
        licence: In a few words.
        note: What else to know.
    """

    name: str
    origin: str
    urls: tuple[str, ...]
    sha256: str | None
    licence: str
    note: str = ""


def from_github(
    name: str, repository: str, commit: str, path: str, *, sha256: str, licence: str, note: str = ""
) -> WeightFile:
    """A file that a GitHub repository has at a commit; see `WeightFile`."""
    address = f"https://raw.githubusercontent.com/{repository}/{commit}/{path}"
    return WeightFile(name, f"{repository}@{commit}", (address,), sha256=sha256, licence=licence, note=note)


def _sci(name: str, sha256: str) -> WeightFile:
    # The last commit that has the folder weights/; the hash says whether it is still the same file.
    return from_github(
        f"sci/{name}.pt",
        "vis-opt-group/SCI",
        "975000b998cfc39e83b5cb5f59daabff26d223e0",
        f"weights/{name}.pt",
        sha256=sha256,
        licence="MIT",
        note="A training state: the keys under `enhance.` are what inference needs.",
    )


def _retinexnet(part: str, sha256: str) -> WeightFile:
    return from_github(
        f"retinexnet/{part}_9200.tar",
        "aasharma90/RetinexNet_PyTorch",
        "22675105f52432715a7935db16562f5117c9d369",
        f"ckpts/{part}/9200.tar",
        sha256=sha256,
        licence="none stated",
        note="A PyTorch port's weights, not those of the authors' TensorFlow release; a torch file despite its ending.",
    )


def _kind(folder: str, sha256: str) -> WeightFile:
    return from_github(
        f"kind/{folder}.data",
        "zhangyhuaee/KinD",
        "b7d7fcca6d70e1fcb588ad6935ec7750e96c7161",
        f"checkpoint/{folder}/model.ckpt.data-00000-of-00001",
        sha256=sha256,
        licence="none stated",
        note="A TensorFlow checkpoint's variables; its index is not needed.",
    )


def _mmdet_ssd(size: int, stamp: str, digits: str, ap: float) -> WeightFile:
    file = f"ssd{size}_voc0712_{stamp}-{digits}.pth"
    return WeightFile(
        name=f"mmdet/{file}",
        origin="open-mmlab/mmdetection@1821fddec6ce6b49775a7a0bf8dfd9cfd768da5e, configs/pascal_voc/README.md",
        urls=(f"https://download.openmmlab.com/mmdetection/v2.0/pascal_voc/ssd{size}_voc0712/{file}",),
        sha256=digits,  # mmdet's tools/model_converters/publish_model.py puts the first 8 digits into the name
        licence="Apache-2.0",
        note=f"VOC07+12, {ap} mAP on VOC07 test (11 points) as published.",
    )


def _rfbnet(version: str, published_as: str, drive: str, branches: str, linked_from: str) -> WeightFile:
    return WeightFile(
        name=f"rfbnet/RFB_vgg_{version}.pth",
        origin=f"GOATmessi8/RFBNet (was ruinmessi), linked from {linked_from}",
        urls=(f"https://drive.google.com/uc?id={drive}",),
        sha256=None,  # published nowhere
        licence="MIT",
        note=f"Published as {published_as}: RFBNet300, VOC07+12, {version} mAP on VOC07 test; {branches} BasicRFB.",
    )


CATALOGUE: dict[str, WeightFile] = {
    file.name: file
    for file in (
        from_github(
            "zero_dce/Epoch99.pth",
            "Li-Chongyi/Zero-DCE",
            "e0f4adc54d0f23348c4a9b84acc08fe8778d5bfd",
            "Zero-DCE_code/snapshots/Epoch99.pth",
            sha256="a4395acb874f320375d9704997cef874eaaaaa26a1777ceb29a92b70f74c3612",
            licence="academic research only",
        ),
        _retinexnet("Decom", "40c090e3bb884e697f6b396fe7fddade67172b30b428daa316c68a0b9247d4b5"),
        _retinexnet("Relight", "513ae3a0bf503b9a6ecce1a46112135aefcfeb393cf61531e18cc3356701efde"),
        _sci("easy", "b17326a26a93bf187ecbab217f9d3c57467a8b56020d4d9ff600ba257bbffb36"),
        _sci("medium", "4ff1e7e66e8f18114f790e5085ca4c936f0858e329e7ad1cb65b8aa09a9c6916"),
        _sci("difficult", "657fa1f280cae1035df0d5cbe628e91f2d0f28660df608a3fa3f7e9a71da5a13"),
        _kind("decom_net_train", "b7dce81f6a2a277ad4771eb21507d1b6fbcd5421123a6eb426d3c9cdc55e7229"),
        _kind("illumination_adjust_net_train", "444b9566553277aa96254c6827d5456ae46a29ad10ec229843a2123a4c791735"),
        _rfbnet("80.7", "RFB300_80_7.pth", "1apPyT3IkNwKhwuYyp432IJrTd0QHGbIN", "three-branch", "its README"),
        _rfbnet(
            "80.5",
            "RFB300_80_5.pth",
            "1V3DjLw1ob89G8XOuUn7Jmg_o-8k_WM3L",
            "two-branch (before 2018-08-05)",
            "the README of lzx1413/PytorchSSD@19d4386a92a8bab22119c55705a0062d36d85cb5",
        ),
        _mmdet_ssd(300, "20220320_194658", "17edda1b", 76.5),
        _mmdet_ssd(512, "20220320_194717", "03cefefe", 79.5),
        WeightFile(
            name="torchvision/vgg16-397923af.pth",
            origin="torchvision, VGG16_Weights.IMAGENET1K_V1",
            urls=("https://download.pytorch.org/models/vgg16-397923af.pth",),
            sha256="397923af",  # the first 8 digits are in the name, as torch.hub expects them
            licence="BSD-3-Clause (torchvision); ImageNet terms",
            note="528 MB.",
        ),
        WeightFile(
            name="openmmlab/vgg16_caffe-292e1171.pth",
            origin="open-mmlab, converted from the Caffe model of VGG's authors (mmengine's hub/openmmlab.json)",
            urls=(
                "https://mmassets.onedl.ai/pretrain/third_party/vgg16_caffe-292e1171.pth",
                "https://download.openmmlab.com/pretrain/third_party/vgg16_caffe-292e1171.pth",
            ),
            sha256="292e1171",  # the first 8 digits are in the name, as torch.hub expects them
            licence="CC BY 4.0 (VGG); ImageNet terms",
            note="Takes B, G, R in 0..255 minus the mean.",
        ),
    )
}
