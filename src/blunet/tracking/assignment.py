"""The cheapest assignment of rows to columns, where only some pairs are possible."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def assign(
    rows: NDArray[np.int64], columns: NDArray[np.int64], costs: NDArray[np.float64], no_partner: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair rows with columns so that the sum of the costs is the smallest.

    Parameters
    ----------
    rows, columns : ndarray of shape (K,), int64
        Pairs that are possible: any numbers, each pair once.
    costs : ndarray of shape (K,), float64
        Of the pairs, 0 or above.
    no_partner : float
        Cost of a row without a partner. Pairs that cost as much or more are never made.

    Returns
    -------
    rows, columns : ndarray of shape (P,), int64
        The pairs that were made: each row and each column at most once, sorted by row.

    Notes
    -----
    The solver is `scipy.sparse.csgraph.min_weight_full_bipartite_matching`, which wants every row to have a partner:
    each has one more column of its own, for none. Rows and columns whose only possible partner is each other are paired
    without it.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    possible = costs < no_partner
    rows, columns, costs = rows[possible], columns[possible], costs[possible]
    _, row, row_uses = np.unique(rows, return_inverse=True, return_counts=True)
    _, column, column_uses = np.unique(columns, return_inverse=True, return_counts=True)
    alone = (row_uses[row] == 1) & (column_uses[column] == 1)
    paired = [(rows[alone], columns[alone])]
    if not alone.all():
        rows, columns, costs = rows[~alone], columns[~alone], costs[~alone]
        row_values, row = np.unique(rows, return_inverse=True)
        column_values, column = np.unique(columns, return_inverse=True)
        wide, high = column_values.size, row_values.size
        own = np.arange(high)
        matrix = coo_array(
            (
                np.concatenate([costs, np.full(high, no_partner)]) + 1.0,  # the solver takes a 0 for no pair
                (np.concatenate([row, own]), np.concatenate([column, wide + own])),
            ),
            shape=(high, wide + high),
        )
        chosen_rows, chosen = min_weight_full_bipartite_matching(matrix.tocsr())
        real = chosen < wide
        paired.append((row_values[chosen_rows[real]], column_values[chosen[real]]))
    first, second = (np.concatenate(part) for part in zip(*paired, strict=True))
    order = np.argsort(first)
    return first[order], second[order]
