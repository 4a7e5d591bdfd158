"""Class means and covariance in one pass, and distances in the units that they give."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError
from limen.measure.arrays import class_labels, tensor

CHUNK = 1 << 24  # numbers held in float64 at once: 128 MB


@dataclass(frozen=True, eq=False)
class Moments:
    """Count and mean of each class, and the scatter within classes, all in float64.

    `scatter = sum_i (x_i - mean[y_i]) (x_i - mean[y_i])^T`. Chunks of rows are centred on their own
    class means and merged (`S = S_1 + S_2 + sum_c n_1c n_2c / (n_1c + n_2c) d_c d_c^T`, d the
    difference of the means), so one pass is enough, features of any size stay in place, and nothing
    cancels, however far the classes lie from each other or from zero.

    Attributes:
        count: Rows of each class, (classes,).
        mean: Mean of each class, (classes, width).
        scatter: Sum of outer products within classes, (width, width).

    Reference:
        T. F. Chan, G. H. Golub and R. J. LeVeque, "Updating formulae and a pairwise algorithm for
        computing sample variances", COMPSTAT 1982.

    Example:
        >>> moments = Moments.of([[0.0], [2.0], [10.0], [14.0]], [0, 0, 1, 1])
        >>> moments.mean.flatten().tolist(), moments.covariance.item()    # (1 + 1 + 4 + 4) / 4
        ([1.0, 12.0], 2.5)
    """

    count: Float[Tensor, " classes"]
    mean: Float[Tensor, "classes width"]
    scatter: Float[Tensor, "width width"]

    @classmethod
    def of(cls, features: Any, labels: Any = None) -> "Moments":
        """The moments of rows of features.

        Args:
            features: Rows, a tensor or an array.
            labels: Class 0..C-1 of each row; without, all rows are one class.

        Returns:
            The moments.

        Raises:
            UsageError: Features that are not finite; labels that are not 0..C-1, or only one class.
        """
        rows = tensor("features", features)
        if labels is None:
            names, classes = rows.new_zeros(len(rows), dtype=torch.long), 1
        else:
            names = class_labels(labels, rows=len(rows)).to(rows.device)
            classes = int(names.max()) + 1
        found = None
        for part, name in chunks(rows, names):
            new = _of_chunk(part.double(), name, classes)
            found = new if found is None else found.merge(new)
        assert found is not None
        return found

    def merge(self, other: "Moments") -> "Moments":
        """The moments of both sets of rows together.

        Args:
            other: Of other rows, with the same classes and width; a class may be empty there.

        Returns:
            The merged moments; neither is changed.

        Raises:
            UsageError: Another number of classes or columns.
        """
        if self.mean.shape != other.mean.shape:
            raise UsageError(
                f"both moments must have the same classes and columns, got "
                f"{tuple(self.mean.shape)} and {tuple(other.mean.shape)}"
            )
        count = self.count + other.count
        share = other.count / count.clamp(min=1)
        apart = other.mean - self.mean
        between = (apart * (self.count * share)[:, None]).T @ apart
        mean = self.mean + share[:, None] * apart
        return Moments(count, mean, self.scatter + other.scatter + between)

    @property
    def total(self) -> "Moments":
        """The moments of all rows as one class."""
        rows = self.count.sum()
        mean = (self.count @ self.mean) / rows
        apart = self.mean - mean
        between = (apart * self.count[:, None]).T @ apart
        return Moments(rows[None], mean[None], self.scatter + between)

    @property
    def covariance(self) -> Float[Tensor, "width width"]:
        """The covariance within classes: scatter over the number of rows (maximum likelihood)."""
        return self.scatter / self.count.sum()

    def to_dict(self) -> dict[str, Any]:
        """The three tensors."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Moments":
        """The moments that `to_dict` described."""
        return cls(**data)


def whitening(
    covariance: Float[Tensor, "width width"], *, ridge: float = 1e-6
) -> Float[Tensor, "width width"]:
    """W with `W^T (S + ridge * mean variance * I) W = I`: rows times W have unit covariance.

    By a Cholesky factor in float64. The ridge is relative to the mean of the variances, so W scales
    with the features; it bounds what one constant (dead) feature can say to 1 / sqrt(ridge) of what
    an ordinary one says, where an inverse without it would be infinite or noise.

    Args:
        covariance: S, symmetric, positive semi-definite.
        ridge: At least 0; 0 needs a covariance of full rank.

    Returns:
        W, upper triangular.

    Raises:
        UsageError: The features do not vary, or the covariance is singular and the ridge 0.

    Example:
        >>> whitening(torch.diag(torch.tensor([4.0, 0.25])), ridge=0.0).diagonal().tolist()
        [0.5, 2.0]
    """
    if not 0 <= ridge < float("inf"):
        raise UsageError(f"ridge={ridge} must be 0 or more")
    exact = covariance.double()
    variance = exact.diagonal().mean()
    if not variance > 0:
        raise UsageError("features must vary within the classes, got a covariance of zero")
    eye = torch.eye(len(exact), dtype=exact.dtype, device=exact.device)
    factor, failed = torch.linalg.cholesky_ex(exact + ridge * variance * eye)
    if failed:
        raise UsageError(
            f"the covariance of {len(exact)} features must have full rank when ridge={ridge}; "
            "give a ridge above 0, such as 1e-6, or more rows"
        )
    return torch.linalg.solve_triangular(factor.T, eye, upper=True)


def squared_distances(
    rows: Float[Tensor, "rows width"], centres: Float[Tensor, "centres width"]
) -> Float[Tensor, "rows centres"]:
    """Squared distance of each row to each centre, by one matrix product, in float64.

    `||x||^2 + ||c||^2 - 2 x . c` loses about 1e-16 of the squared lengths: centre both on the data
    first, where they lie far from zero. Negative rounding becomes 0.

    Args:
        rows: Points.
        centres: Other points.

    Returns:
        At least 0, one column for each centre.

    Example:
        >>> squared_distances(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2)).item()
        25.0
    """
    x, c = rows.double(), centres.double()
    lengths = x.square().sum(1, keepdim=True) + c.square().sum(1)
    return torch.addmm(lengths, x, c.T, alpha=-2).clamp_(min=0)


def chunks(rows: Tensor, *others: Tensor, per_row: int | None = None) -> Any:
    """Pieces of `rows`, and of what goes along, small enough to work on in float64.

    Args:
        rows: Rows to cut.
        others: Tensors of as many rows.
        per_row: Numbers that the work holds for each row; the width of `rows` where not given.

    Yields:
        One tensor for `rows` and for each of `others`.

    Example:
        >>> [part.shape for part, in chunks(torch.zeros(3, 1), per_row=CHUNK // 2)]
        [torch.Size([2, 1]), torch.Size([1, 1])]
    """
    if torch.compiler.is_exporting():  # a graph has one number of pieces, whatever the rows
        return [(rows, *others)]
    size = max(1, CHUNK // (per_row or rows[0].numel()))
    return zip(*(one.split(size) for one in (rows, *others)), strict=True)


def _of_chunk(rows: Tensor, names: Tensor, classes: int) -> Moments:
    if classes == 1:
        count, mean = rows.new_full((1,), len(rows)), rows.mean(0, keepdim=True)
        centred = rows - mean
        return Moments(count, mean, centred.T @ centred)
    count = torch.bincount(names, minlength=classes).double()
    sums = rows.new_zeros(classes, rows.shape[1]).index_add_(0, names, rows)
    mean = sums / count.clamp(min=1)[:, None]
    centred = rows - mean[names]
    return Moments(count, mean, centred.T @ centred)
