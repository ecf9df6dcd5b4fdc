"""What a fit says: the certificate, standard errors, tests, and how far it has moved."""
