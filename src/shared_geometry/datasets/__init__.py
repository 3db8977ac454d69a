"""Images, labels and class names of what networks are trained on."""

from shared_geometry.datasets.loading import (
    DATASETS,
    Dataset,
    Images,
    data_root,
    load_dataset,
    mean_image,
    normalise,
    split_alignment,
)

__all__ = [
    "DATASETS",
    "Dataset",
    "Images",
    "data_root",
    "load_dataset",
    "mean_image",
    "normalise",
    "split_alignment",
]
