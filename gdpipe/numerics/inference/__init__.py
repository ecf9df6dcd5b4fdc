"""The certificate of a fit, its standard errors and tests, and its drift since an earlier fit."""
