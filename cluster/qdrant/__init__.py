"""The index's server, and its snapshots: taken on a schedule, kept on a volume of their own, put back by a job."""
