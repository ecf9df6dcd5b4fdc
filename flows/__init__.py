"""The Prefect side: each stage as a task, and the flows; thin."""
