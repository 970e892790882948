"""The course's image data sets, all loaded by one function."""

from helpers.data.drawings import animal_table
from helpers.data.loading import DATASETS, check_dataset, class_counts, load_dataset
from helpers.data.splits import SPLITS, ImageDataset, rank_in_class, resize

__all__ = [
    "DATASETS",
    "SPLITS",
    "ImageDataset",
    "animal_table",
    "check_dataset",
    "class_counts",
    "load_dataset",
    "rank_in_class",
    "resize",
]
