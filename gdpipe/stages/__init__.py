"""The steps of a run, one public function a file; here arrays and tables meet.

ingest -> standardize -> fit -> predict -> measure -> evidence -> decide -> publish
"""
