"""Numbers without rounding: fixed point, rational solutions, balls."""
