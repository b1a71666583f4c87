"""Source archive of the PASCAL-Context images, which are those of VOC 2010."""

from __future__ import annotations

from typing import Final

from ahs_seg.data.prepare.sources import GB, ArchiveSource

FOLDER: Final = "VOCdevkit/VOC2010"

IMAGES: Final = ArchiveSource(
    file="VOCtrainval_03-May-2010.tar",
    members={"VOC2010/JPEGImages/": f"{FOLDER}/JPEGImages"},
    max_bytes=3 * GB,
    page="http://host.robots.ox.ac.uk/pascal/VOC/voc2010/",
    url="http://host.robots.ox.ac.uk/pascal/VOC/voc2010/VOCtrainval_03-May-2010.tar",
    size=1345040896,
    checksum="md5:da459979d0c395079b5c75ee67908abb",  # torchvision, datasets/voc.py
)
