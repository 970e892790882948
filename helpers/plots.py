"""One look for all figures: a palette that color-blind readers can tell apart, and alt text."""

import io
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from IPython.display import Image, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito (2008), without yellow, which is too light for lines.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

plt.rcParams.update(
    {
        "axes.prop_cycle": cycler(color=PALETTE),
        "axes.grid": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.constrained_layout.use": True,
        "font.size": 11,
        "grid.alpha": 0.3,
        "lines.linewidth": 2,
    }
)


def show(figure: Figure, alt: str) -> None:
    """Show a figure with alternative text for readers who cannot see it, and close it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    plt.close(figure)
    display(Image(buffer.getvalue(), format="png", alt=alt))


def image_rows(rows: dict[str, np.ndarray], titles: Sequence[str] = ()) -> Figure:
    """Rows of pictures: name of the row -> images (uint8, n x H x W x 3); titles above columns."""
    columns = max(len(images) for images in rows.values())
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(1.05 * columns + 1, 1.15 * len(rows) + 0.3), squeeze=False
    )
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        axis.grid(False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for axis, image in zip(line, images, strict=False):
            axis.imshow(image)
    for axis, title in zip(axes[0], titles, strict=False):
        axis.set_title(title, fontsize=9)
    return figure


def interval_line(
    axis: Axes,
    x: Sequence[float],
    middle: Sequence[float],
    low_high: np.ndarray,
    label: str,
    i: int,
) -> None:
    """A line with a shaded interval (low_high: n x 2), in the i-th colour and marker."""
    colour = PALETTE[i % len(PALETTE)]
    axis.plot(x, middle, color=colour, marker=MARKERS[i % len(MARKERS)], label=label)
    axis.fill_between(x, low_high[:, 0], low_high[:, 1], color=colour, alpha=0.15)


def interval_bars(
    axis: Axes, names: Sequence[str], middle: Sequence[float], low_high: np.ndarray
) -> None:
    """Horizontal bars with intervals (low_high: n x 2) and the value written beside each."""
    place = np.arange(len(names))[::-1]
    errors = np.abs(low_high.T - np.asarray(middle))
    axis.barh(place, middle, xerr=errors, color=PALETTE[0], alpha=0.8, capsize=3)
    axis.set_yticks(place, names)
    for y, value, high in zip(place, middle, low_high[:, 1], strict=True):
        axis.text(high + 0.01, y, f"{value:.2f}", va="center", fontsize=10)


def chance_line(axis: Axes, value: float, label: str, *, horizontal: bool = True) -> None:
    """A dashed line at what guessing gives."""
    draw = axis.axhline if horizontal else axis.axvline
    draw(value, color="#666666", linestyle="--", linewidth=1.2, label=label)
