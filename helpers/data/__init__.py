"""The course's image data sets, all loaded by one function."""

from helpers.data.drawings import animal_table, make_textured
from helpers.data.fetched import fetch_dataset
from helpers.data.loading import DATASETS, check_dataset, class_counts, dataset_status, load_dataset
from helpers.data.splits import SPLITS, ImageDataset, resize, split_of

__all__ = [
    "DATASETS",
    "SPLITS",
    "ImageDataset",
    "animal_table",
    "check_dataset",
    "class_counts",
    "dataset_status",
    "fetch_dataset",
    "load_dataset",
    "make_textured",
    "resize",
    "split_of",
]
