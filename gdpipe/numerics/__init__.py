"""Arrays in, numbers out: exact sums, descent, the baseline and the certificate.

No path, no column name, no logging.
"""
