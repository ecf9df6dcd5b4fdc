"""The six steps of a run, one public function a file; here arrays and tables meet.

ingest -> standardize -> fit -> predict -> validate -> publish
"""
