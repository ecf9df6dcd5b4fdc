"""Arrays in, numbers out: exact sums, descent, the baseline and the certificate.

No path, no column name, no logging.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# columns of the same rows: k arrays of shape (m,), or one of shape (k, m)
FloatColumns = Sequence[NDArray[np.float64]] | NDArray[np.float64]
